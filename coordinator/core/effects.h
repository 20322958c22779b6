#ifndef PENSTOCK_COORDINATOR_CORE_EFFECTS_H_
#define PENSTOCK_COORDINATOR_CORE_EFFECTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/core/state.h"
#include "proto/checkpoint.pb.h"
#include "proto/event.pb.h"

namespace penstock {

struct NewStep {
  std::string job_id;
  StepRow row;
};

struct NewTimeline {
  std::string job_id;
  TimelineRow row;
};

struct NewLogLine {
  std::string job_id;
  int64_t epoch = 0;
  // The server's own sequence number, by which a repeat is known.
  int64_t entry_sequence = 0;
  LogLine line;
};

// Rows to make durable together, or not at all.
struct WriteBatch {
  std::optional<int64_t> term;
  std::optional<std::string> cluster_secret;
  // Whole rows; a row replaces the one with its id.
  std::vector<JobRow> jobs;
  std::vector<ServerRow> servers;
  // By job id; one replaces the job's earlier one.
  std::map<std::string, std::shared_ptr<const Plan>> plans;
  // By job id: steps beyond this one are forgotten, before `steps` are added.
  std::map<std::string, int64_t> kept_steps;
  // In sequence.
  std::vector<Event> events;
  std::vector<NewStep> steps;
  std::vector<NewTimeline> timelines;
  std::vector<NewLogLine> logs;

  bool empty() const {
    return !term && !cluster_secret && jobs.empty() && servers.empty() &&
           plans.empty() && kept_steps.empty() && events.empty() &&
           steps.empty() && timelines.empty() && logs.empty();
  }
};

// What the checkpoint store is to do; the first three are answered by an event
// (event.h).

// Becomes CheckpointStored.
struct CommitCheckpoint {
  CheckpointManifest manifest;
};
// Becomes CheckpointRemoved.
struct RemoveCheckpoint {
  CheckpointId id;
};
// Becomes ManifestRead of the same job.
struct ReadManifest {
  std::string job_id;
  CheckpointId id;
};
// Nothing is written any more by epochs of the job before this one; what they
// have left unfinished goes.
struct BeginStoreEpoch {
  std::string job_id;
  int64_t epoch = 0;
};
using CheckpointWork = std::variant<CommitCheckpoint, RemoveCheckpoint,
                                    ReadManifest, BeginStoreEpoch>;

// What a turn of events asks of the outside, in order: first `MakeBatch` of it
// becomes durable, then the rest is done.
struct Effects {
  // Ids of rows that changed; `batch` has what is appended.
  std::set<std::string> changed_jobs;
  std::set<std::string> changed_servers;
  WriteBatch batch;
  // Servers that are to hear their desired state, and what is durable.
  std::set<std::string> desired;
  std::set<std::string> acks;
  // Sessions to end, and how.
  std::map<uint64_t, absl::Status> closed_sessions;
  // In this order.
  std::vector<CheckpointWork> checkpoint_work;
  // Another coordinator has taken over: stop serving. Says why.
  std::optional<std::string> step_down;
};

// `effects.batch` with the rows of what changed, as `state` has them now.
WriteBatch MakeBatch(const ClusterState& state, const Effects& effects);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_EFFECTS_H_
