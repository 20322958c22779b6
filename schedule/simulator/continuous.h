#ifndef PENSTOCK_SCHEDULE_SIMULATOR_CONTINUOUS_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_CONTINUOUS_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/report.h"
#include "schedule/simulator/simulate.h"

namespace penstock {

// A run of a continuous schedule, and what it costs once it runs evenly.
struct ContinuousReport {
  // Prologue, periods and epilogue written out; what `report` is of.
  Schedule run;
  // Also warns of stalls: a period of more than 1.01 times the work that the
  // busiest rank has in it.
  SimulationReport report;
  // How much longer a run takes for another period, and idle / total of that:
  // over as many more periods as the run has, so that neither filling nor
  // draining counts.
  double period_time = 0;
  double period_bubble = 0;
};

// Runs `periods` periods. A flush has none: then the run is one step, and a
// period is one too, with its bubble. Pure.
//   INVALID_ARGUMENT  `periods` < 1, from `Unroll` and `Simulate`.
//   FAILED_PRECONDITION  from `Simulate`.
absl::StatusOr<ContinuousReport> SimulateContinuous(
    const Schedule& schedule, const CostModel& costs, int periods,
    const SimulateOptions& options = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_CONTINUOUS_H_
