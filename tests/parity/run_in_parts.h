#ifndef PENSTOCK_TESTS_PARITY_RUN_IN_PARTS_H_
#define PENSTOCK_TESTS_PARITY_RUN_IN_PARTS_H_

#include "absl/status/statusor.h"
#include "proto/plan.pb.h"
#include "tests/parity/reference_loop.h"

namespace penstock {

struct DrainRequest {
  // The last step before it.
  int after_step = 0;
  // When the ranks hear of it: once they have made this one.
  int told_after_step = 0;
  // Whether what follows has nothing but the newest weights, as after a change
  // of shape.
  bool newest_only = false;
};

// Trains the plan's job with a thread for each rank: drains it on request, and
// then goes on to the job's end as another run, with the weights and optimizer
// state that the first one left. Without the losses of the steps.
absl::StatusOr<TrainingRecord> TrainInParts(const Plan& plan,
                                            const DrainRequest& drain);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_RUN_IN_PARTS_H_
