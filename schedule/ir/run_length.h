#ifndef PENSTOCK_SCHEDULE_IR_RUN_LENGTH_H_
#define PENSTOCK_SCHEDULE_IR_RUN_LENGTH_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// How long runs of a continuous schedule are. A **step** is one period's worth
// of microbatches: step t, from 1, is microbatches (t-1) m to t m - 1 of the
// run, m = `num_microbatches`. The ranks are not at the same step at the same
// time, but a whole run is a whole number of steps on each of them.

// The steps of the shortest run: the prologue and the epilogue alone.
//
// The lists of one rank are enough, which is what a stage server has; every
// rank of a schedule gives the same answer. Pure; linear in the lists.
//   INVALID_ARGUMENT  the schedule flushes, or has no period; prologue and
//                     epilogue do not make a whole number of periods (such a
//                     schedule does not verify).
absl::StatusOr<int64_t> LeastStepsOfRun(const Schedule& schedule);

// How often the period is repeated in a run of so many steps: `steps` less
// those of the shortest run, from 0. So a run is the prologue, the period so
// often, the epilogue (schedule.h), and has `steps` times `num_microbatches`
// microbatches.
//   INVALID_ARGUMENT  as above; fewer steps than the shortest run has, which it
//                     names; so many that a microbatch of the run has a number
//                     beyond 2^31 - 1.
absl::StatusOr<int> PeriodsOfRun(const Schedule& schedule, int64_t steps);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_RUN_LENGTH_H_
