#ifndef PENSTOCK_TESTS_PARITY_ENGINE_THREADS_H_
#define PENSTOCK_TESTS_PARITY_ENGINE_THREADS_H_

#include "absl/status/statusor.h"
#include "proto/plan.pb.h"
#include "tests/parity/reference_loop.h"

namespace penstock {

// Runs all ranks of `plan` for `num_steps` steps in this process, one thread
// each, joined by the in-process transport. The first error of any rank ends
// all and is returned, with the rank before it.
absl::StatusOr<TrainingRecord> TrainInThreads(const Plan& plan, int num_steps);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_ENGINE_THREADS_H_
