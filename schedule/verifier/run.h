#ifndef PENSTOCK_SCHEDULE_VERIFIER_RUN_H_
#define PENSTOCK_SCHEDULE_VERIFIER_RUN_H_

#include "schedule/ir/schedule.h"

namespace penstock {

// A run of a continuous schedule as one list for each rank: the prologue, the
// period `periods` times, the epilogue; no period or epilogue is left, and
// `num_microbatches` counts those of the run. Microbatches and versions are
// shifted as schedule.h says. A flush is its own run.
// Requires: as many lists in each section as ranks, a version rule for each
// stage, and `FitsRun`.
Schedule RunOf(const Schedule& schedule, int periods);

// Whether the numbers of the run stay in range.
bool FitsRun(const Schedule& schedule, int periods);

// Periods after which nothing new can come: what a list meets of another's
// (messages, versions, updates) lies at most the prologue's length ahead or
// behind, so two periods more than that show a period between others like it.
// No more than four times the schedule's actions make.
int PeriodsToVerify(const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_RUN_H_
