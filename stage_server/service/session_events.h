#ifndef PENSTOCK_STAGE_SERVER_SERVICE_SESSION_EVENTS_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_SESSION_EVENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "proto/plan.pb.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// What `SessionCore` hears (events) and what it wants done (effects). Plain
// values: adapters make the first from the network, the executor thread, the
// log and signals, and carry out the second.

// One placement of one job. Epochs of different jobs cannot be compared.
struct EpochKey {
  std::string job_id;
  int64_t job_epoch = 0;

  friend bool operator==(const EpochKey&, const EpochKey&) = default;
};

// "job-1 epoch 2"
std::string ToString(const EpochKey& epoch);

// Whether both say the same.
bool SameTier(const std::optional<MemoryTier>& a,
              const std::optional<MemoryTier>& b);

// ---- Events: the session --------------------------------------------------

// Register was answered.
struct Registered {
  RegisterResponse response;
};
struct RegisterFailed {
  absl::Status why;
};
// `session` is the number of the `OpenSession` that the stream was opened by.
struct MessageReceived {
  int64_t session = 0;
  CoordinatorMessage message;
};
// The stream is over; nothing more of this session follows. OK when the
// coordinator ended it politely.
struct SessionEnded {
  int64_t session = 0;
  absl::Status why;
};

// ---- Events: the executor -------------------------------------------------
// Each names its epoch; those of an epoch come in the order below, but for
// `SnapshotTaken` and then `ShardsStored`, and `Warned`, which come while it
// has an engine; `Failed` at any point and then no other but `Left`.

struct Loaded {
  EpochKey epoch;
  DataAddress address;
};
struct Connected {
  EpochKey epoch;
};
struct StepDone {
  EpochKey epoch;
  StepReport report;
  // Of some steps.
  std::optional<StepTrace> trace;
  // Of memory and network so far; with some of the steps.
  std::optional<RankUse> use;
};
// All steps are done.
struct RunDone {
  EpochKey epoch;
  std::vector<LayerDigest> layers;
};
// There is a copy of the rank's state after a step, or there will be none.
struct SnapshotTaken {
  EpochKey epoch;
  SnapshotReport report;
};
// The copy is in the store, or could not be put there.
struct ShardsStored {
  EpochKey epoch;
  ShardReport report;
};
// Something that ends nothing has not gone as it should.
struct Warned {
  EpochKey epoch;
  std::string text;
};
// The epoch's engine and channels are gone already.
struct Failed {
  EpochKey epoch;
  absl::Status why;
  // Whose fault it is, where there is evidence.
  std::optional<RankId> suspect;
  // What waited too long, where that is why.
  std::optional<MissingAction> missing;
};
// Answers `LeaveEpoch`: the executor is free for another epoch.
struct Left {
  EpochKey epoch;
  // What it was at, where that was within a step.
  std::optional<MissingAction> missing;
};

// ---- Events: the process --------------------------------------------------

// What this process's memory holds of ranks' states has changed; also while
// there is no epoch.
struct MemoryChanged {
  MemoryReport report;
};
// A line of this process's log.
struct OwnLogLine {
  absl::Time time;
  std::string level;
  std::string text;
};
// Leave the epoch, then exit.
struct StopRequested {
  // For the job's owner: "stage server a100-3 was told to stop (SIGTERM)".
  std::string reason;
  // So long the coordinator is given to take the rank away; zero: not at all.
  absl::Duration leave_within = absl::ZeroDuration();
};
// Time has reached `SessionCore::next_wake`.
struct Tick {};

using Event = std::variant<Registered, RegisterFailed, MessageReceived,
                           SessionEnded, Loaded, Connected, StepDone, RunDone,
                           SnapshotTaken, ShardsStored, Warned, Failed, Left,
                           MemoryChanged, OwnLogLine, StopRequested, Tick>;

// ---- Effects --------------------------------------------------------------

// Call Register; answer with `Registered` or `RegisterFailed`.
struct CallRegister {
  RegisterRequest request;
};
// Open the stream; what is sent before it stands is queued.
struct OpenSession {
  int64_t session = 0;
};
struct SendMessage {
  StageMessage message;
};
// Half-close after what was sent; answered by `SessionEnded`.
struct CloseSession {};

struct LoadLayers {
  EpochKey epoch;
  RankId rank;
  Plan plan;
  // What its state is loaded from, and where snapshots go to.
  std::optional<RestorePoint> restore = std::nullopt;
  std::optional<CheckpointStoreAddress> checkpoints = std::nullopt;
  int64_t coordinator_term = 0;
};
struct ConnectPeers {
  EpochKey epoch;
  // Index is the rank.
  std::vector<DataAddress> peers;
  std::string epoch_secret;
};
struct RunSteps {
  EpochKey epoch;
};
// What steps mean besides being run. At once, whatever the epoch is doing; in
// place of what was said before.
struct SetMarks {
  EpochKey epoch;
  // A snapshot is taken after it; 0: none.
  int64_t snapshot_step = 0;
  // The run ends after it; 0: after the job's last.
  int64_t stop_step = 0;
  // Snapshots are kept in memory so; unset: not.
  std::optional<MemoryTier> memory = std::nullopt;
};
// Stop what the epoch is doing, free what it holds, then answer `Left`.
struct LeaveEpoch {
  EpochKey epoch;
  absl::Status why;
};

// Of all jobs: nobody goes on from the states in this process's memory.
struct ForgetMemory {};

struct WriteLog {
  enum class Level { kInfo, kWarning, kError };
  Level level = Level::kInfo;
  std::string text;
};
// The process is to end, with success if OK. The last effect there is.
struct Exit {
  absl::Status status;
  // False: the executor is still busy and cannot be waited for.
  bool executor_left = true;
};

using Effect = std::variant<CallRegister, OpenSession, SendMessage,
                            CloseSession, LoadLayers, ConnectPeers, RunSteps,
                            SetMarks, LeaveEpoch, ForgetMemory, WriteLog, Exit>;

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_SESSION_EVENTS_H_
