#ifndef PENSTOCK_SCHEDULE_PLANNER_LIST_SCHEDULE_H_
#define PENSTOCK_SCHEDULE_PLANNER_LIST_SCHEDULE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// What every rank may hold; unset: no limit.
struct MemoryCap {
  // Microbatches in flight, in full stages (RankSummary::peak_in_flight).
  std::optional<double> in_flight;
  // Static bytes and those of the microbatches in flight.
  std::optional<int64_t> bytes;
};

// Which action goes first where a rank could run several: the one with the
// smallest number. Index is stage * microbatches + microbatch.
struct ActionPriorities {
  std::vector<double> forward;
  // Of B, or of I where the backward is split.
  std::vector<double> backward;
  std::vector<double> weight;
};

struct ListScheduleOptions {
  // I and W instead of B.
  bool split_backward = true;
  // A rank rather waits for an action of higher priority whose input is on its
  // way than runs another that takes more than the wait over `patience`. 0: it
  // never waits while it could run something.
  double patience = 0;
  MemoryCap cap;
};

// List scheduling (Graham, Bounds on Multiprocessing Timing Anomalies, 1969):
// runs the pipeline by `costs`, and whenever a rank is free gives it the action
// of highest priority whose inputs are there and whose memory fits. Of each
// stage, forwards, backwards and W run in the order of the microbatches.
//
// An F has to leave room for one microbatch in each later stage of its rank, so
// that the oldest microbatch can always go on and no cap leads to a deadlock.
//
// `outline` gives placement, edges and number of microbatches; its lists are
// not read. Answers it with lists of compute actions. Pure.
//
//   INVALID_ARGUMENT    a stage that is not on exactly one rank, edges in a
//                       circle, costs or priorities of another size.
//   RESOURCE_EXHAUSTED  some rank cannot hold one microbatch under the cap.
absl::StatusOr<Schedule> ListSchedule(const Schedule& outline,
                                      const CostModel& costs,
                                      const ActionPriorities& priorities,
                                      const ListScheduleOptions& options);

// Priorities that need no schedule: the longest way from an action to the end
// of its microbatch, a later microbatch being worth one step of the busiest
// rank less; W last. Requires: as `ListSchedule`.
ActionPriorities WayToTheEnd(const Schedule& outline, const CostModel& costs);

// When each action of a simulated schedule began. Requires: `timeline` is of
// `schedule`, whose lists are complete.
ActionPriorities StartTimes(const Schedule& schedule, const CostModel& costs,
                            const Timeline& timeline);

// The latest time at which each could have begun, in the order in which the
// ranks ran, without the run ending later: what has slack gives way.
// Requires: as `StartTimes`, and every stage on one rank.
ActionPriorities LatestStarts(const Schedule& schedule, const CostModel& costs,
                              const Timeline& timeline);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_PLANNER_LIST_SCHEDULE_H_
