#ifndef PENSTOCK_SCHEDULE_SIMULATOR_RUN_DIFF_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_RUN_DIFF_H_

#include <string>

#include "schedule/ir/schedule.h"
#include "schedule/simulator/run_view.h"

namespace penstock {

// The grids of both side by side (PrintGrid), rows that differ marked "|":
//
//   step  r0    r1        step  r0    r1
//      0  0F0   .            0  0F0   .
//      1  0F1   1F0   |      1  0I0   1F0
//
// Pure. Linear in the actions.
std::string GridDiff(const Schedule& left, const Schedule& right);

// Makes `marked` of both: the compute actions of a rank that the other run does
// not have at the same place of its list of compute actions, or that the other
// run began at another time (further off than `tolerance`).
void MarkDifferences(double tolerance, RunView* left, RunView* right);

// What differs, in figures, a line each: makespan, bubbles and peak in flight;
// then for each rank whether it runs the same order, and where it first does
// not, or else by how much it is late at its last action and at which action
// most of that came about. So a run can be held against its prediction. Pure.
std::string RunDiff(const RunView& left, const RunView& right);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_RUN_DIFF_H_
