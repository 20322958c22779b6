#ifndef PENSTOCK_TESTS_PARITY_PARITY_FIXTURE_H_
#define PENSTOCK_TESTS_PARITY_PARITY_FIXTURE_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"
#include "proto/plan.pb.h"
#include "tests/parity/reference_loop.h"

namespace penstock {

// Some steps of the jobs here are clipped to this and some are not.
inline constexpr double kClipNorm = 0.7;

// Jobs of a batch of 24, for any number of microbatches that divides it, with a
// warm-up and clipping; naive on one stage until told otherwise. `optimizer` is
// "sgd" or "adamw".

// Dropout on, embedding and head tied, one block: six layers.
Job TinyGpt(const std::string& optimizer);
Job TinyMlp(const std::string& optimizer);
// Any other preset with its own data, images of 8 pixels a side.
Job TinyModel(const std::string& preset, const std::string& optimizer);

// Trains the job for its steps, through its plan, with ranks as threads.
absl::StatusOr<TrainingRecord> TrainPipelined(const Job& job);

// The job's loop in the plan's order, or in that of the microbatches. Run once
// for equal arguments: schedule and stages do not matter to it.
const absl::StatusOr<TrainingRecord>& Reference(
    const Job& job, const SummationOrder& order = {});

// The loop of the plan's job, with as many microbatches as the plan has pieces,
// in the plan's order.
const absl::StatusOr<TrainingRecord>& ReferenceOf(const Plan& plan);

// That of the plan that BuildPlan makes of the job.
const absl::StatusOr<TrainingRecord>& ReferenceOfPlan(const Job& job);

// Fails the test unless both are there and equal.
void ExpectSameBits(const absl::StatusOr<TrainingRecord>& got,
                    const absl::StatusOr<TrainingRecord>& want);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_PARITY_FIXTURE_H_
