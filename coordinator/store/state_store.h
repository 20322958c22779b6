#ifndef PENSTOCK_COORDINATOR_STORE_STATE_STORE_H_
#define PENSTOCK_COORDINATOR_STORE_STATE_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/effects.h"
#include "coordinator/core/state.h"

namespace penstock {

// What the coordinator must not forget.
//
// Not thread-safe: one thread, the loop's, writes and reads. Every call may
// fail with
//   RESOURCE_EXHAUSTED  the disk is full; free space and try again.
//   DATA_LOSS           what is kept is damaged; says how to recover.
//   INTERNAL            anything else that the store said.
class StateStore {
 public:
  virtual ~StateStore() = default;

  // Everything that a starting coordinator needs. Empty in a new store.
  virtual absl::StatusOr<StoredState> Load() = 0;

  // Makes the whole batch durable, or, on an error, nothing of it.
  virtual absl::Status Write(const WriteBatch& batch) = 0;

  // Pages of what is appended, ascending, at most `limit` rows after a
  // sequence number or step. Unknown jobs have none.
  //
  // Events of one job; of everything with an empty `job_id`.
  virtual absl::StatusOr<std::vector<Event>> ReadEvents(
      const std::string& job_id, int64_t after_sequence, int limit) = 0;
  virtual absl::StatusOr<std::vector<LogLine>> ReadLogs(
      const std::string& job_id, int64_t after_sequence, int limit) = 0;
  virtual absl::StatusOr<std::vector<ProgressRecord>> ReadSteps(
      const std::string& job_id, int64_t after_step, int limit) = 0;

  // Steps of the job that have a timeline, ascending.
  virtual absl::StatusOr<std::vector<int64_t>> ReadTimelineSteps(
      const std::string& job_id) = 0;
  // NOT_FOUND for a step without one.
  virtual absl::StatusOr<TimelineRow> ReadTimeline(const std::string& job_id,
                                                   int64_t step) = 0;

  // NOT_FOUND for an unknown job.
  virtual absl::StatusOr<Plan> ReadPlan(const std::string& job_id) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_STORE_STATE_STORE_H_
