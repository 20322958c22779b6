#ifndef PENSTOCK_SCHEDULE_IR_GRADIENT_SLOTS_H_
#define PENSTOCK_SCHEDULE_IR_GRADIENT_SLOTS_H_

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Updates of the stage whose gradients the rank keeps at once, at least 1.
//
// A stage on one rank updates as soon as a gradient is whole. One on several
// ranks has to wait for G, and its U stands as late as it can; backwards that
// run meanwhile count for the next update, whose gradient must not mix with the
// one that is being summed.
//
// Only the rank's lists are read, lowered ones of a schedule that never drains;
// of a flush it is 1. Pure; linear. Requires: version rules for all stages.
int GradientSlots(const Schedule& schedule, RankId rank, StageId stage);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_GRADIENT_SLOTS_H_
