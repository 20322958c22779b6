#include "stage_server/engine/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "stage_server/engine/optimizer_kernels.h"

namespace penstock {
namespace {

// Elements per piece of work: its buffers stay in the first-level cache while
// the bfloat16 weights are made from the masters just written.
constexpr size_t kPiece = 1024;

absl::Status CheckRange(const char* name, double value, double end) {
  if (value >= 0 && value < end) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer: ", name, " is ", value, ", want at least 0",
                   std::isfinite(end) ? absl::StrCat(" and below ", end) : ""));
}

}  // namespace

absl::StatusOr<Optimizer> Optimizer::Make(const OptimizerSpec& spec) {
  Optimizer optimizer;
  if (spec.kind() == "sgd") {
    optimizer.kind_ = Kind::kSgd;
  } else if (spec.kind() == "adamw") {
    optimizer.kind_ = Kind::kAdamW;
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer: kind is \"", spec.kind(), "\", want sgd or adamw"));
  }
  const struct {
    const char* name;
    double value;
    double end;
  } ranges[] = {
      {"momentum", spec.momentum(), 1},
      {"beta1", spec.beta1(), 1},
      {"beta2", spec.beta2(), 1},
      {"epsilon", spec.epsilon(), HUGE_VAL},
      {"weight_decay", spec.weight_decay(), HUGE_VAL},
      {"clip_norm", spec.clip_norm(), HUGE_VAL},
      {"learning_rate", spec.learning_rate(), HUGE_VAL},
  };
  for (const auto& range : ranges) {
    absl::Status status = CheckRange(range.name, range.value, range.end);
    if (!status.ok()) return status;
  }
  optimizer.momentum_ = spec.momentum();
  optimizer.beta1_ = spec.beta1();
  optimizer.beta2_ = spec.beta2();
  optimizer.epsilon_ = spec.epsilon();
  optimizer.weight_decay_ = spec.weight_decay();
  optimizer.clip_norm_ = spec.clip_norm();
  return optimizer;
}

absl::Span<const absl::string_view> Optimizer::moment_names() const {
  static constexpr absl::string_view kSgdNames[] = {"momentum"};
  static constexpr absl::string_view kAdamWNames[] = {"exp_avg", "exp_avg_sq"};
  if (kind_ == Kind::kSgd) return kSgdNames;
  return kAdamWNames;
}

void Optimizer::Update(const UpdateArguments& arguments,
                       const ParameterSpans& spans) const {
  const double rate = arguments.learning_rate;
  const double decay = arguments.decay ? weight_decay_ : 0.0;
  const auto updates = static_cast<double>(arguments.update + 1);
  const SgdConstants sgd = {
      static_cast<float>(rate), static_cast<float>(momentum_),
      static_cast<float>(decay), arguments.gradient_scale};
  const AdamWConstants adamw = {
      static_cast<float>(1.0 - rate * decay),
      static_cast<float>(beta1_),
      static_cast<float>(1.0 - beta1_),
      static_cast<float>(beta2_),
      static_cast<float>(1.0 - beta2_),
      static_cast<float>(rate / (1.0 - std::pow(beta1_, updates))),
      static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2_, updates))),
      static_cast<float>(epsilon_),
      arguments.gradient_scale};
  const OptimizerKernels& kernels = NativeKernels();
  for (size_t begin = 0; begin < spans.master.size(); begin += kPiece) {
    const size_t size = std::min(kPiece, spans.master.size() - begin);
    float* const master = spans.master.data() + begin;
    const float* const gradient = spans.gradient.data() + begin;
    float* const first = spans.first_moment.data() + begin;
    float* const second =
        kind_ == Kind::kSgd ? nullptr : spans.second_moment.data() + begin;
    float* const next =
        spans.next_master.empty() ? nullptr : spans.next_master.data() + begin;
    if (kind_ == Kind::kSgd && next == nullptr) {
      kernels.sgd(sgd, size, master, gradient, first);
    } else if (kind_ == Kind::kSgd) {
      kernels.sgd_into(sgd, size, master, gradient, first, next);
    } else if (next == nullptr) {
      kernels.adamw(adamw, size, master, gradient, first, second);
    } else {
      kernels.adamw_into(adamw, size, master, gradient, first, second, next);
    }
    if (!spans.bfloat16_weight.empty()) {
      kernels.to_bfloat16(size, next == nullptr ? master : next,
                          spans.bfloat16_weight.data() + begin);
    }
  }
}

}  // namespace penstock
