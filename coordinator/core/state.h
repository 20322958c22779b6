#ifndef PENSTOCK_COORDINATOR_CORE_STATE_H_
#define PENSTOCK_COORDINATOR_CORE_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "proto/checkpoint.pb.h"
#include "proto/coordinator_service.pb.h"
#include "proto/coordinator_state.pb.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// Everything that the coordinator knows, as plain values. Only `Step` (step.h)
// changes it, on one thread.

// A report is up to 100 ms old, and a plan takes as long to be heard.
inline constexpr absl::Duration kFirstSnapshotLead = absl::Milliseconds(300);

// One rank of a job's present epoch.
struct RankRun {
  std::string server_id;
  // Of the server when it was assigned: another one has lost the rank.
  uint64_t incarnation = 0;
  // Furthest phase that the server reported in this epoch.
  StageStatus::Phase phase = StageStatus::PHASE_UNSPECIFIED;
  DataAddress data_address;
  std::optional<Finished> finished;
  // Newest that the server told in this epoch; lost with the coordinator until
  // the rank tells it again, or with the job's end kept in its row.
  std::optional<RankUse> use;
  // Newest of the server's log entries in this epoch that is kept.
  int64_t log_sequence = 0;
  // Reports of steps that other ranks have not reported yet, by step.
  std::map<int64_t, StepReport> pending_steps;
  // Of steps that are traced and not whole yet; may also be of some before.
  std::map<int64_t, StepTrace> pending_traces;
  // Of its newest state in memory; 0: none in this epoch.
  int64_t memory_step = 0;
};

// After a rank has waited too long: what all of them were at, as they say when
// they leave. Not kept over a restart; the job has failed already.
struct HangInquiry {
  int first_rank = 0;
  // When those that have not answered are not waited for any more.
  absl::Time until;
  // By rank; without a value where it was in no step.
  std::map<int, std::optional<MissingAction>> answers;
};

// The checkpoint that is being made, as far as its ranks have told. Lost with
// the coordinator; the ranks tell it again.
struct PendingCheckpoint {
  // By rank.
  std::map<int, SnapshotReport> snapshots;
  std::map<int, ShardReport> shards;
  // Of its step, if it was evaluated.
  std::optional<double> evaluation_loss;
  // The store is writing COMMIT.
  bool is_committing = false;
};

struct JobRecord {
  // Without `ranks` and `plan`; `DescribeJob` fills them in.
  JobInfo info;
  std::string idempotency_key;
  // Order of submission, from 1.
  int64_t position = 0;
  // All ranks' lists. Null for a job that ended before this coordinator
  // started: the store still has its plan.
  std::shared_ptr<const Plan> plan;
  // Indices of the layers that own parameters.
  std::vector<int> parameter_layers;
  // Index is the rank; empty before the first placement.
  std::vector<RankRun> ranks;
  // Every rank has loaded: data addresses are complete.
  bool connecting = false;
  RunTotals totals;
  int64_t last_log_sequence = 0;
  // Its reason is being found out; people are told that it has failed, but
  // those who follow it do not see its end before this has one.
  std::optional<HangInquiry> hang;

  // By step and epoch: all that exist, and the newest of those that do not.
  std::vector<CheckpointInfo> checkpoints;
  // Of step info.checkpoints.next_step.
  PendingCheckpoint pending;
  // When the newest snapshot was planned for, or its run began.
  absl::Time last_snapshot;
  // A rank may have come so much further than it has reported; grows each time
  // that a rank was told too late.
  absl::Duration snapshot_lead = kFirstSnapshotLead;
  // Of info.started_from; null until it has been read. Not needed once the
  // ranks have loaded.
  std::shared_ptr<const CheckpointManifest> restore;

  // The furthest step that was finished before info.latest was set back.
  int64_t furthest_step = 0;
  // Of a job that is SUSPENDING only so that this server can leave or be
  // drained; else empty.
  std::string relieves;
  // Until then it is not asked to keep a checkpoint for a server that leaves:
  // the last one that it was to leave with could not be kept.
  absl::Time relieve_after = absl::InfinitePast();
  // Of a job that is RECOVERING: until then it stays so, ...
  absl::Time recover_after = absl::InfinitePast();
  // ... and until then its servers are waited for that have not left.
  absl::Time leave_by = absl::InfinitePast();
  // How it keeps its state in memory now: 0, or after each multiple of so many
  // steps beyond `memory_from`.
  int64_t memory_every = 0;
  int64_t memory_from = 0;
  // Of the newest reports: time that training stood still for it over the time
  // from one to the next.
  std::vector<double> memory_costs;
  // People were told that no copy is on another host.
  bool told_alone = false;
  // Epoch and step of the state in memory that was not there any more.
  std::optional<std::pair<int64_t, int64_t>> lost_memory;
  // Of an elastic job that is QUEUED after a loss: until then it waits for as
  // many servers as it had.
  absl::Time shrink_after = absl::InfinitePast();
  // Of an elastic job: with how many servers, its own and idle ones, its plan
  // was last compared.
  int planned_for = -1;

  int num_ranks() const { return plan ? plan->schedule().ranks_size() : 0; }
};

struct ServerRecord {
  // `state` is what people see; `reason` says why it is SUSPECT or LOST.
  ServerInfo info;
  std::string host_identity;
  int cores = 0;
  // What it does, or did before it became SUSPECT: IDLE to RUNNING.
  ServerState activity = SERVER_STATE_IDLE;
  // The open session; 0 without one.
  uint64_t session = 0;
  // Newest idempotency_sequence of the session.
  int64_t heard_sequence = 0;
  absl::Time last_heard;
  // It has been told to end: takes no rank.
  bool leaving = false;
  // Told to be idle, and has not said that it is: takes no rank.
  bool releasing = false;
  // Why, for the server's own log.
  std::string release_reason;
  // Of the job that it is in (info.job_id) or claims to be in.
  int64_t job_epoch = 0;
  // Of its TransferService; empty: it has none.
  std::string memory_address;
  // What its memory holds of jobs' states, and of its newest own one how long
  // training stood still for it, and how long until its peer had it.
  std::vector<MemoryReport::Held> held;
  int64_t memory_blocked_nanos = 0;
  int64_t memory_replicate_nanos = 0;
  // Grows with each desired state sent.
  int64_t desired_sequence = 0;
};

// Settable times of the failure detector and the leases.
struct Timing {
  absl::Duration heartbeat = absl::Seconds(1);
  absl::Duration suspect_after = absl::Seconds(3);
  absl::Duration lost_after = absl::Seconds(10);
  // How long stage servers keep stepping without a session.
  absl::Duration grace = absl::Minutes(30);
};

// Where checkpoints are kept, and what makes tokens for it
// (checkpoint/transfer/token.h).
struct CheckpointStoreSettings {
  std::string address;
  std::string root;
  std::string key;
};

struct ClusterState {
  int64_t term = 0;
  Timing timing;
  // Random bytes of the store; epochs' secrets are derived from them.
  std::string cluster_secret;
  // Of this process; without it no job keeps checkpoints.
  std::optional<CheckpointStoreSettings> checkpoint_store;
  // By id. Ordered, so that everything that follows is.
  std::map<std::string, JobRecord> jobs;
  std::map<std::string, ServerRecord> servers;
  std::map<std::string, std::string> job_of_idempotency_key;
  int64_t last_position = 0;
  int64_t last_event_sequence = 0;
};

// What a store held, in the shape that it keeps it.
struct StoredJob {
  JobRow row;
  // The rest only for jobs that have not ended.
  std::shared_ptr<const Plan> plan;
  std::optional<StepRow> last_step;
  // Newest entry kept of each rank in the job's epoch.
  std::map<int, int64_t> log_sequence_of_rank;
  int64_t last_log_sequence = 0;
};
struct StoredState {
  int64_t term = 0;
  // Empty in a new store.
  std::string cluster_secret;
  std::vector<StoredJob> jobs;
  std::vector<ServerRow> servers;
  int64_t last_event_sequence = 0;
};

// The state as the last coordinator left it; CoordinatorStarted comes next.
ClusterState RestoreState(const StoredState& stored, const Timing& timing);

// Rows to keep of what the state says now.
JobRow RowOf(const JobRecord& job);
ServerRow RowOf(const ServerRecord& server);

// For people: with ranks and, if asked and known, the plan.
JobInfo DescribeJob(const ClusterState& state, const JobRecord& job,
                    bool with_plan);
// What the plan expects of each rank in `info.ranks`.
void AddPredictions(const Plan& plan, JobInfo& info);
ServerInfo DescribeServer(const ServerRecord& server);

// Jobs by order of submission.
std::vector<const JobRecord*> JobsInOrder(const ClusterState& state);

// The stages that a rank of the job runs, ascending; empty without a plan.
std::vector<int> StagesOf(const JobRecord& job, int rank);

// "stage 1 on node-b", "stages 0 and 3 on node-a": for messages.
std::string Whereabouts(const JobRecord& job, const ServerRecord& server);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_STATE_H_
