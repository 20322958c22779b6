#ifndef PENSTOCK_SCHEDULE_SIMULATOR_LOWER_BOUND_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_LOWER_BOUND_H_

#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

// A time that no order of the schedule's actions on these ranks can beat: the
// larger of
//   * the longest way of one microbatch forward through the stages and back,
//     with the hops between stages that share no rank; and
//   * over all ranks: the shortest way to any of its stages, all its work, and,
//     where its last action is a backward that others wait for, the shortest
//     way from any of its stages back to the first.
// Edges that lead in a circle are left out. 0 for a schedule without actions.
//
// Requires: `CheckCosts` accepts `costs`, and every action names a stage. Pure.
double CriticalPathBound(const Schedule& schedule, const CostModel& costs);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_LOWER_BOUND_H_
