#ifndef PENSTOCK_SCHEDULE_VERIFIER_PERIODS_H_
#define PENSTOCK_SCHEDULE_VERIFIER_PERIODS_H_

#include "schedule/ir/schedule.h"

namespace penstock {

// How often a run of a continuous schedule has to repeat the period before
// nothing new can come: what a list meets of another's (messages, versions,
// updates) lies at most the prologue's length ahead or behind, so two periods
// more than that show a period between others like it. Never so often that the
// run would have more than about five times the schedule's actions, which only
// an incomplete one could ask for. 0 for a flush.
int PeriodsToVerify(const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_PERIODS_H_
