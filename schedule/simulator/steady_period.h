#ifndef PENSTOCK_SCHEDULE_SIMULATOR_STEADY_PERIOD_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_STEADY_PERIOD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/simulate.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// What ranks trace of a job, and what the simulator lays beside it: of a
// schedule that flushes a step, of a continuous one a repetition of its period
// once it runs evenly. All pure.

// The schedule whose lists a trace of step `step`, from 1, is of. A continuous
// one's period: on each rank the repetition with the last update of that step,
// with the microbatches and versions that it then has; no period, no epilogue.
// A flush is returned as it is.
// Requires: `schedule` verifies.
Schedule TracedSchedule(const Schedule& schedule, int64_t step);

struct SteadyPeriod {
  // Of the lists of `TracedSchedule`, from where the first of them begins. Work
  // of the repetition before may reach into it, and its own into the next.
  Timeline timeline;
  // By how much a run takes longer for another repetition; the makespan of a
  // flush.
  double seconds = 0;
};

// Simulates a run that is long enough to be even and cuts a repetition out of
// its middle. `costs.action_times`, if there are some, are those of the period,
// and the same in every repetition.
//   INVALID_ARGUMENT, FAILED_PRECONDITION  as Unroll and Simulate.
absl::StatusOr<SteadyPeriod> SimulateSteadyPeriod(
    const Schedule& schedule, CostModel costs,
    const SimulateOptions& options = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_STEADY_PERIOD_H_
