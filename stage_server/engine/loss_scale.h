#ifndef PENSTOCK_STAGE_SERVER_ENGINE_LOSS_SCALE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_LOSS_SCALE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "proto/job.pb.h"

namespace penstock {

// What the loss of a float16 job is multiplied by before the backward, so that
// small gradients do not vanish; the gradients are divided by it before anybody
// looks at them (Micikevicius et al., Mixed Precision Training, 2018, section
// 3.2). All ranks step it alike, from what they agreed on.
struct LossScale {
  double scale = 1;
  // Steps since it last changed.
  int32_t steps = 0;

  friend bool operator==(const LossScale&, const LossScale&) = default;
};

// INVALID_ARGUMENT, naming the key: numbers out of range.
absl::Status CheckLossScale(const LossScaleSpec& spec);

// Of the first step.
LossScale FirstLossScale(const LossScaleSpec& spec);

// After a step: it grows when `growth_interval` steps went well, and backs off,
// to no less than the minimum, when a gradient was not finite. Pure.
LossScale NextLossScale(const LossScaleSpec& spec, LossScale scale,
                        bool overflowed);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_LOSS_SCALE_H_
