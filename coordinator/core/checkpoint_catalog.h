#ifndef PENSTOCK_COORDINATOR_CORE_CHECKPOINT_CATALOG_H_
#define PENSTOCK_COORDINATOR_CORE_CHECKPOINT_CATALOG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coordinator/core/state.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// What is known of jobs' checkpoints, and when the next one is due. Pure.

// Whether checkpoints are made of the job: it says when, it has weights or is
// emulated, and there is a store.
bool KeepsCheckpoints(const ClusterState& state, const JobRecord& job);

// The entry of `id`; null if there is none.
CheckpointInfo* FindEntry(JobRecord& job, const CheckpointId& id);

// The newest that is complete, if `below` is given of those before that step;
// null if there is none.
const CheckpointInfo* NewestCommitted(
    const JobRecord& job, std::optional<int64_t> below = std::nullopt);

// A checkpoint as people name it.
struct CheckpointName {
  std::string job_id;
  // Unset: the newest complete one.
  std::optional<int64_t> step;
};

// "<job>@<step>" or "<job>"; the job as `FindJob` (job_lookup.h) has it.
//   NOT_FOUND         no such job.
//   INVALID_ARGUMENT  the step is none.
absl::StatusOr<CheckpointName> ParseCheckpointName(const ClusterState& state,
                                                   absl::string_view text);

// The entry that `text` names: without a step the newest complete one; of a
// step that two epochs have made, a complete one before others, then the
// newest.
//   NOT_FOUND, INVALID_ARGUMENT  as ParseCheckpointName; or there is none of
//                                that step: names the nearest one.
absl::StatusOr<CheckpointInfo> FindCheckpoint(const ClusterState& state,
                                              absl::string_view text);

// What a new job is to start from, as its `start` says; nothing for initial
// weights.
//   INVALID_ARGUMENT     start.from names no checkpoint.
//   NOT_FOUND            start.resume is "require", or start.from names one,
//                        and it is not there.
//   FAILED_PRECONDITION  the job of the same name has not ended, or start.from
//                        names one that is not complete or is damaged.
absl::StatusOr<std::optional<CheckpointId>> ChooseStart(
    const ClusterState& state, const Job& job);

// The job, if there is one, that has not begun to run and will need this
// checkpoint; else null.
const JobRecord* JobThatAwaits(const ClusterState& state,
                               const CheckpointId& id);

// Whether someone may delete this one.
//   FAILED_PRECONDITION  it is not there; a job is to start from it; or,
//                        without `force`, it is pinned or its job's only one:
//                        says what would be lost.
absl::Status CheckDeletion(const ClusterState& state,
                           const CheckpointInfo& info, bool force);

// The furthest step that any rank has told of.
int64_t ReportedStep(const JobRecord& job);

// Where a job is when its next snapshot is planned.
struct SnapshotSituation {
  // The job's last.
  int64_t steps = 0;
  // Of the newest checkpoint that was begun, or the step it started from.
  int64_t previous = 0;
  // No rank is beyond this step, nor will be when it hears of the plan.
  int64_t reach = 0;
  // checkpoint.every_seconds are over.
  bool is_late = false;
};

// After which step the next snapshot is to be taken: the next multiple of
// every_steps beyond `previous` and `reach`; without waiting for one when it is
// late; and in any case the job's last. 0 when `previous` is the last.
int64_t NextSnapshotStep(const CheckpointSpec& spec,
                         const SnapshotSituation& situation);

// How many multiples of every_steps lie between `previous` and `next`, both
// left out: intervals that the storage was too slow for.
int64_t SkippedIntervals(const CheckpointSpec& spec, int64_t previous,
                         int64_t next);

// The step that a rank may have reached, at most, `job.snapshot_lead` from now.
int64_t ReachOf(const JobRecord& job);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_CHECKPOINT_CATALOG_H_
