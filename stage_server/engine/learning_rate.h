#ifndef PENSTOCK_STAGE_SERVER_ENGINE_LEARNING_RATE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_LEARNING_RATE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "proto/job.pb.h"

namespace penstock {

// The learning rate of update `update` (from 0) of a job of `job_steps` steps.
//
// Pure, in double precision: the same on every rank. The warm-up rises
// linearly, base * (update + 1) / warmup_steps, and reaches the base rate with
// its last update. What follows counts updates after the warm-up and, for
// cosine (Loshchilov & Hutter 2017) and polynomial, ends at `decay_steps`
// (counted from the job's first update), then stays there.
//
// Requires: CheckLearningRate(schedule) is OK; update >= 0.
double LearningRate(const LearningRateSchedule& schedule, double base,
                    int64_t job_steps, int64_t update);

// INVALID_ARGUMENT for an unknown kind, negative counts, or a step size below
// 1 where the kind is "step".
absl::Status CheckLearningRate(const LearningRateSchedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_LEARNING_RATE_H_
