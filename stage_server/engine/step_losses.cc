#include "stage_server/engine/step_losses.h"

namespace penstock {

void StepLosses::Record(int64_t step, int piece, float loss) {
  Losses& losses = steps_[step];
  losses.resize(num_pieces_);
  losses[piece] = loss;
}

StepLosses::Losses StepLosses::Of(int64_t step) const {
  const auto found = steps_.find(step);
  return found == steps_.end() ? Losses(num_pieces_) : found->second;
}

double StepLosses::Mean(int64_t step) const {
  double sum = 0;
  for (const std::optional<float>& loss : Of(step)) sum += loss.value_or(0);
  return sum / num_pieces_;
}

void StepLosses::ForgetBefore(int64_t step) {
  steps_.erase(steps_.begin(), steps_.lower_bound(step));
}

}  // namespace penstock
