#ifndef PENSTOCK_SCHEDULE_IR_UNROLL_H_
#define PENSTOCK_SCHEDULE_IR_UNROLL_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// An action of the period as its `repetition`-th has it, from 0, or one of the
// epilogue after that many: `repetition` times the period's microbatches later,
// and as many versions later as its stage makes updates of these. What stands
// once a step (`kWholeStep`) stays. So a rank that runs on and on needs no list
// longer than the period.
// Requires: `schedule` is one that `Unroll` takes, and the numbers fit.
Action Shift(const Action& action, const Schedule& schedule, int repetition);

// A run written out: the prologue, the period `periods` times, the epilogue, as
// one list for each rank. Name, policy, rules, placement and edges are kept,
// `period` and `epilogue` are empty, and `num_microbatches` counts those of the
// run: one more than the last that an F names. A schedule without a period (a
// flush, or a run already written out) is returned as it is. Linear in the
// result.
//   INVALID_ARGUMENT  `periods` is negative; parts with different numbers of
//                     ranks; not a rule for each stage; a stage whose updates
//                     do not divide the period's microbatches; numbers or lists
//                     that grow beyond 2^31 - 1.
absl::StatusOr<Schedule> Unroll(const Schedule& schedule, int periods);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_UNROLL_H_
