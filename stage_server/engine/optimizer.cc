#include "stage_server/engine/optimizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Elements per piece of work: its buffers stay in the first-level cache while
// the bfloat16 weights are made from the masters just written.
constexpr size_t kPiece = 1024;

struct SgdConstants {
  float learning_rate;
  float momentum;
  float decay;
  float scale;
};

// One element; the same arithmetic wherever the result goes.
inline float NextSgd(const SgdConstants& c, float master, float gradient,
                     float& velocity) {
  const float g = gradient * c.scale + c.decay * master;
  const float v = c.momentum * velocity + g;
  velocity = v;
  return master - c.learning_rate * v;
}

void UpdateSgd(const SgdConstants& c, size_t size, float* __restrict master,
               const float* __restrict gradient, float* __restrict velocity) {
  for (size_t i = 0; i < size; ++i) {
    master[i] = NextSgd(c, master[i], gradient[i], velocity[i]);
  }
}

void UpdateSgdInto(const SgdConstants& c, size_t size,
                   const float* __restrict master,
                   const float* __restrict gradient, float* __restrict velocity,
                   float* __restrict next) {
  for (size_t i = 0; i < size; ++i) {
    next[i] = NextSgd(c, master[i], gradient[i], velocity[i]);
  }
}

struct AdamWConstants {
  float shrink;  // 1 - learning rate * decay
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float step_size;                // learning rate / (1 - beta1^t)
  float inverse_root_correction;  // 1 / sqrt(1 - beta2^t)
  float epsilon;
  float scale;
};

inline float NextAdamW(const AdamWConstants& c, float master, float gradient,
                       float& first, float& second) {
  const float g = gradient * c.scale;
  const float m = c.beta1 * first + c.one_minus_beta1 * g;
  const float v = c.beta2 * second + c.one_minus_beta2 * (g * g);
  first = m;
  second = v;
  const float denominator =
      std::sqrt(v) * c.inverse_root_correction + c.epsilon;
  return master * c.shrink - c.step_size * (m / denominator);
}

void UpdateAdamW(const AdamWConstants& c, size_t size, float* __restrict master,
                 const float* __restrict gradient, float* __restrict first,
                 float* __restrict second) {
  for (size_t i = 0; i < size; ++i) {
    master[i] = NextAdamW(c, master[i], gradient[i], first[i], second[i]);
  }
}

void UpdateAdamWInto(const AdamWConstants& c, size_t size,
                     const float* __restrict master,
                     const float* __restrict gradient, float* __restrict first,
                     float* __restrict second, float* __restrict next) {
  for (size_t i = 0; i < size; ++i) {
    next[i] = NextAdamW(c, master[i], gradient[i], first[i], second[i]);
  }
}

// To nearest, ties to even; NaN stays NaN.
void RoundToBfloat16(size_t size, const float* __restrict from,
                     uint16_t* __restrict to) {
  for (size_t i = 0; i < size; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(from[i]);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    to[i] = static_cast<uint16_t>(is_nan ? 0x7fc0 : rounded);
  }
}

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
      UpdateSgd(sgd, size, master, gradient, first);
    } else if (kind_ == Kind::kSgd) {
      UpdateSgdInto(sgd, size, master, gradient, first, next);
    } else if (next == nullptr) {
      UpdateAdamW(adamw, size, master, gradient, first, second);
    } else {
      UpdateAdamWInto(adamw, size, master, gradient, first, second, next);
    }
    if (!spans.bfloat16_weight.empty()) {
      RoundToBfloat16(size, next == nullptr ? master : next,
                      spans.bfloat16_weight.data() + begin);
    }
  }
}

}  // namespace penstock
