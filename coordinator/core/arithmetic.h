#ifndef PENSTOCK_COORDINATOR_CORE_ARITHMETIC_H_
#define PENSTOCK_COORDINATOR_CORE_ARITHMETIC_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Floating point operations of the products (models/graph/flops.h) in a step,
// counted from 1, by rank: those of every F, B, I, W and R in its list, with
// the sequences that the step has. Emulated devices have none. Pure.
//   INVALID_ARGUMENT  plan and model do not fit.
absl::StatusOr<std::vector<double>> FlopsOfStep(const Plan& plan,
                                                const Schedule& schedule,
                                                int64_t step);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_ARITHMETIC_H_
