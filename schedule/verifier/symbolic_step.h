#ifndef PENSTOCK_SCHEDULE_VERIFIER_SYMBOLIC_STEP_H_
#define PENSTOCK_SCHEDULE_VERIFIER_SYMBOLIC_STEP_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

// Runs one lowered step with symbols in place of tensors: each value is a
// number that stands for the expression that made it (which F of which stage on
// which inputs and weights, which gradients, ...). Equal answers mean that
// every update of every stage was computed from the same values, so one list
// can stand for the other. The order in which a stage's gradients are summed is
// not part of the expression.
//
// Index of the answer is the stage: its weights after the step. nullopt if the
// lists cannot be run to their end: an action's input is not there, it is done
// twice, the message that comes is another microbatch's, a message is left
// over, or all ranks wait.
//
// An oracle for tests: shares no code with the verifier.
std::optional<std::vector<uint64_t>> RunSymbolicStep(const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_SYMBOLIC_STEP_H_
