#include "stage_server/engine/loss_scale.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

absl::Status Bad(const char* key, const char* want, double got) {
  return absl::InvalidArgumentError(
      absl::StrCat("loss_scale.", key, " must be ", want, ", got ", got));
}

}  // namespace

absl::Status CheckLossScale(const LossScaleSpec& spec) {
  if (!(spec.minimum() > 0) || !std::isfinite(spec.minimum())) {
    return Bad("minimum", "more than 0", spec.minimum());
  }
  if (!(spec.initial() >= spec.minimum()) || !std::isfinite(spec.initial())) {
    return absl::InvalidArgumentError(
        absl::StrCat("loss_scale.initial must be at least loss_scale.minimum ",
                     spec.minimum(), ", got ", spec.initial()));
  }
  if (spec.growth_interval() < 1) {
    return Bad("growth_interval", "at least 1", spec.growth_interval());
  }
  if (!(spec.growth() >= 1) || !std::isfinite(spec.growth())) {
    return Bad("growth", "at least 1", spec.growth());
  }
  if (!(spec.backoff() > 0 && spec.backoff() < 1)) {
    return Bad("backoff", "more than 0 and less than 1", spec.backoff());
  }
  return absl::OkStatus();
}

LossScale FirstLossScale(const LossScaleSpec& spec) {
  return {spec.initial(), 0};
}

LossScale NextLossScale(const LossScaleSpec& spec, LossScale scale,
                        bool overflowed) {
  if (overflowed) {
    return {std::max(spec.minimum(), scale.scale * spec.backoff()), 0};
  }
  if (++scale.steps < spec.growth_interval()) return scale;
  return {scale.scale * spec.growth(), 0};
}

}  // namespace penstock
