#ifndef PENSTOCK_SCHEDULE_SIMULATOR_ACTION_TIME_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_ACTION_TIME_H_

#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

// How long the action at `position` of the rank's list works, by `costs`; 0 for
// communication, N and G, which do no work. Without the host's overhead
// and a pair's gain. Requires: its stage has a cost. Pure.
double ActionTime(const Schedule& schedule, const CostModel& costs, int rank,
                  int position);

// What the pair whose first is at `position` saves: `pair_gain` times the
// shorter one's time; 0 if no compute action follows (after communication, at
// most).
// Requires: that action has `overlaps_next`.
double PairGain(const Schedule& schedule, const CostModel& costs, int rank,
                int position);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_ACTION_TIME_H_
