#ifndef PENSTOCK_SCHEDULE_VERIFIER_SYMBOLIC_STEP_H_
#define PENSTOCK_SCHEDULE_VERIFIER_SYMBOLIC_STEP_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

// Runs one lowered step, or one written-out run of a continuous schedule (its
// lists in `ranks`), with symbols in place of tensors: each value is a number
// that stands for the expression that made it (which F of which stage on which
// inputs and weights, which gradients in which order, ...). Equal answers mean
// that every update of every stage was computed from the same values, so one
// list can stand for the other. What a B makes, an I and a W or two halves make
// too. The order in which gradients are summed is part of the expression unless
// the schedule says that it is as listed.
//
// The answer holds the newest weights of each stage on each of its ranks.
// nullopt if the lists cannot be run to their end: an action's input or version
// is not there, it is done twice, the message that comes is another's, a
// message is left over, a pair cannot overlap, or all ranks wait.
//
// An oracle for tests: shares no code with the rules.
std::optional<std::vector<uint64_t>> RunSymbolicStep(const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_SYMBOLIC_STEP_H_
