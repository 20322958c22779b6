#ifndef PENSTOCK_SCHEDULE_SIMULATOR_CHECK_COSTS_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_CHECK_COSTS_H_

#include "absl/status/status.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

// INVALID_ARGUMENT, naming the number, unless `costs` has a cost for every
// stage of `schedule` and every cost is finite, not negative and at most 10^15
// (so that sums stay finite), and fractions are at most 1. Pure.
absl::Status CheckCosts(const Schedule& schedule, const CostModel& costs);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_CHECK_COSTS_H_
