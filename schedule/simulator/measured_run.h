#ifndef PENSTOCK_SCHEDULE_SIMULATOR_MEASURED_RUN_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_MEASURED_RUN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/plan.pb.h"
#include "proto/stage_service.pb.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// What a step that really ran says about its schedule. All pure. What ranks
// trace of a continuous schedule is a repetition of its period: where it does
// not say otherwise, `schedule` is then that (steady_period.h: TracedSchedule).

// Bytes of one microbatch's tensor on each of the plan's edges.
std::vector<int64_t> EdgeBytes(const Plan& plan);

// One step, in seconds from where the first rank began it, by rank 0's clock.
// A receive's message is a transfer: on its way from when its send had been
// posted, there when the receive could go on.
//   INVALID_ARGUMENT  not one trace a rank, all of one step; or one that has
//                     not three times, none before the one before it, for each
//                     action of its list.
absl::StatusOr<Timeline> MeasuredTimeline(const Schedule& schedule,
                                          const std::vector<StepTrace>& ranks);

// Of the slowest rank, from where it began the step until its last action
// ended. Requires: a MeasuredTimeline was made of `ranks`.
double StepSeconds(const std::vector<StepTrace>& ranks);

// What the schedule costs, by measured runs of it, as medians:
//   actions  of each stage and op, over microbatches and ranks;
//   links    the time of messages whose receiver was waiting, for the others
//            may have been there long before; where a link carries edges of
//            different sizes, as latency and bandwidth that go through the
//            smallest and the largest one. A link on which nobody waited costs
//            as the others' median;
//   N        from where the last rank turned to it to where it was done, so
//            also what was left of the reductions; these cost nothing else;
//   overhead the host's time for an action that is not one of these, as a mean
//            over all actions of the medians of compute actions, sends and
//            receives.
// Requires: `runs` is not empty; each is a MeasuredTimeline of `schedule`.
// `edge_bytes` as CostModel's.
CostModel MeasuredCosts(const Schedule& schedule,
                        const std::vector<Timeline>& runs,
                        std::vector<int64_t> edge_bytes);

// Where the time of a step went. The fractions are from 0 to 1; their product
// is the part of the ranks' time in which they worked.
struct WorkFractions {
  // Mean over the ranks of what they worked, over the largest.
  double balance = 0;
  // The largest, over the critical path; of a continuous schedule over the time
  // of a period once it runs evenly.
  double schedule = 0;
  // The critical path, over the step: how long the lists take if every action
  // takes as long as it did, every message as long as MeasuredCosts of this
  // step says, and the host's overhead is nothing.
  double runtime = 0;
  // What the ranks worked, added up.
  double work_seconds = 0;
};

// `schedule` is the whole one.
//   INVALID_ARGUMENT  as MeasuredTimeline.
//   FAILED_PRECONDITION  as Simulate.
absl::StatusOr<WorkFractions> MeasureFractions(
    const Schedule& schedule, const std::vector<StepTrace>& ranks,
    std::vector<int64_t> edge_bytes);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_MEASURED_RUN_H_
