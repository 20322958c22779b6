#ifndef PENSTOCK_COORDINATOR_CORE_HANDLERS_H_
#define PENSTOCK_COORDINATOR_CORE_HANDLERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/event.h"
#include "coordinator/core/turn.h"

namespace penstock {

// One per kind of event; parts of `Step`, which says what they promise.

// job_events.cc: what people ask.
absl::StatusOr<std::string> On(const JobSubmitted& event, Turn& turn);
absl::StatusOr<std::string> On(const JobCancelRequested& event, Turn& turn);
absl::StatusOr<std::string> On(const JobSuspendRequested& event, Turn& turn);
absl::StatusOr<std::string> On(const JobResumeRequested& event, Turn& turn);

// import_events.cc: weights that were trained elsewhere.
absl::StatusOr<std::string> On(const WeightsImported& event, Turn& turn);

// server_events.cc: servers come, go and are judged.
absl::StatusOr<std::string> On(const CoordinatorStarted& event, Turn& turn);
absl::StatusOr<std::string> On(const Tick& event, Turn& turn);
absl::StatusOr<std::string> On(const ServerRegistered& event, Turn& turn);
absl::StatusOr<std::string> On(const SessionOpened& event, Turn& turn);
absl::StatusOr<std::string> On(const SessionClosed& event, Turn& turn);

// drain.cc: what operators want of servers.
absl::StatusOr<std::string> On(const ServerDutyRequested& event, Turn& turn);

// report_events.cc: what servers say in a session.
absl::StatusOr<std::string> On(const SessionSpoke& event, Turn& turn);

// checkpoint_events.cc: what becomes of checkpoints.
absl::StatusOr<std::string> On(const CheckpointStored& event, Turn& turn);
absl::StatusOr<std::string> On(const CheckpointRemoved& event, Turn& turn);
absl::StatusOr<std::string> On(const ManifestRead& event, Turn& turn);
absl::StatusOr<std::string> On(const CheckpointDamaged& event, Turn& turn);
absl::StatusOr<std::string> On(const CheckpointPinRequested& event, Turn& turn);
absl::StatusOr<std::string> On(const CheckpointDeleteRequested& event,
                               Turn& turn);
// Parts of SessionSpoke and CoordinatorStarted.
void OnSnapshot(const SnapshotReport& report, int64_t epoch,
                ServerRecord& server, Turn& turn);
void OnShards(const ShardReport& report, int64_t epoch, ServerRecord& server,
              Turn& turn);
void CompareCheckpoints(const std::vector<FoundCheckpoint>& found, Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_HANDLERS_H_
