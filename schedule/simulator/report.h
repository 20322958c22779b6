#ifndef PENSTOCK_SCHEDULE_SIMULATOR_REPORT_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/simulate.h"
#include "schedule/simulator/summary.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// What a person wants to know of a simulated schedule.
struct SimulationReport {
  Timeline timeline;
  TimelineSummary summary;
  // Index is the rank: the most bytes at any time, static ones included.
  std::vector<int64_t> peak_bytes;
  // CriticalPathBound: no order of these actions takes less.
  double lower_bound = 0;
  // One sentence each: what makes the schedule slower than it has to be, or the
  // figures less than they seem. Thresholds: fewer microbatches than ranks; a
  // rank with nothing to do; a rank with more than 1.2 times the mean work; a
  // rank that waits more than a fifth of the time for messages on their way;
  // overhead of more than a tenth; stages without edges between them.
  std::vector<std::string> warnings;
};

// Simulates and sums up. Errors are those of `Simulate`. Pure.
absl::StatusOr<SimulationReport> SimulateAndReport(
    const Schedule& schedule, const CostModel& costs,
    const SimulateOptions& options = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_REPORT_H_
