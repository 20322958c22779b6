#include "stage_server/engine/optimizer_kernels.h"

#include <bit>
#include <cmath>

namespace penstock {
namespace {

// Compiled anew into each kernel, for its registers.
#define PENSTOCK_INLINE [[gnu::always_inline]] inline

// One element; the same arithmetic wherever the result goes.
PENSTOCK_INLINE float NextSgd(const SgdConstants& c, float master,
                              float gradient, float& velocity) {
  const float g = gradient * c.scale + c.decay * master;
  const float v = c.momentum * velocity + g;
  velocity = v;
  return master - c.learning_rate * v;
}

PENSTOCK_INLINE float NextAdamW(const AdamWConstants& c, float master,
                                float gradient, float& first, float& second) {
  const float g = gradient * c.scale;
  const float m = c.beta1 * first + c.one_minus_beta1 * g;
  const float v = c.beta2 * second + c.one_minus_beta2 * (g * g);
  first = m;
  second = v;
  const float denominator =
      std::sqrt(v) * c.inverse_root_correction + c.epsilon;
  return master * c.shrink - c.step_size * (m / denominator);
}

PENSTOCK_INLINE void SgdLoop(const SgdConstants& c, size_t size,
                             float* __restrict master,
                             const float* __restrict gradient,
                             float* __restrict velocity) {
  for (size_t i = 0; i < size; ++i) {
    master[i] = NextSgd(c, master[i], gradient[i], velocity[i]);
  }
}

PENSTOCK_INLINE void SgdIntoLoop(const SgdConstants& c, size_t size,
                                 const float* __restrict master,
                                 const float* __restrict gradient,
                                 float* __restrict velocity,
                                 float* __restrict next) {
  for (size_t i = 0; i < size; ++i) {
    next[i] = NextSgd(c, master[i], gradient[i], velocity[i]);
  }
}

PENSTOCK_INLINE void AdamWLoop(const AdamWConstants& c, size_t size,
                               float* __restrict master,
                               const float* __restrict gradient,
                               float* __restrict first,
                               float* __restrict second) {
  for (size_t i = 0; i < size; ++i) {
    master[i] = NextAdamW(c, master[i], gradient[i], first[i], second[i]);
  }
}

PENSTOCK_INLINE void AdamWIntoLoop(const AdamWConstants& c, size_t size,
                                   const float* __restrict master,
                                   const float* __restrict gradient,
                                   float* __restrict first,
                                   float* __restrict second,
                                   float* __restrict next) {
  for (size_t i = 0; i < size; ++i) {
    next[i] = NextAdamW(c, master[i], gradient[i], first[i], second[i]);
  }
}

PENSTOCK_INLINE void ToBfloat16Loop(size_t size, const float* __restrict from,
                                    uint16_t* __restrict to) {
  for (size_t i = 0; i < size; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(from[i]);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    to[i] = static_cast<uint16_t>(is_nan ? 0x7fc0 : rounded);
  }
}

void SgdBaseline(const SgdConstants& c, size_t size, float* __restrict master,
                 const float* __restrict gradient, float* __restrict velocity) {
  SgdLoop(c, size, master, gradient, velocity);
}

void SgdIntoBaseline(const SgdConstants& c, size_t size,
                     const float* __restrict master,
                     const float* __restrict gradient,
                     float* __restrict velocity, float* __restrict next) {
  SgdIntoLoop(c, size, master, gradient, velocity, next);
}

void AdamWBaseline(const AdamWConstants& c, size_t size,
                   float* __restrict master, const float* __restrict gradient,
                   float* __restrict first, float* __restrict second) {
  AdamWLoop(c, size, master, gradient, first, second);
}

void AdamWIntoBaseline(const AdamWConstants& c, size_t size,
                       const float* __restrict master,
                       const float* __restrict gradient,
                       float* __restrict first, float* __restrict second,
                       float* __restrict next) {
  AdamWIntoLoop(c, size, master, gradient, first, second, next);
}

void ToBfloat16Baseline(size_t size, const float* __restrict from,
                        uint16_t* __restrict to) {
  ToBfloat16Loop(size, from, to);
}

[[gnu::target("avx2")]] void SgdAvx2(const SgdConstants& c, size_t size,
                                     float* __restrict master,
                                     const float* __restrict gradient,
                                     float* __restrict velocity) {
  SgdLoop(c, size, master, gradient, velocity);
}

[[gnu::target("avx2")]] void SgdIntoAvx2(const SgdConstants& c, size_t size,
                                         const float* __restrict master,
                                         const float* __restrict gradient,
                                         float* __restrict velocity,
                                         float* __restrict next) {
  SgdIntoLoop(c, size, master, gradient, velocity, next);
}

[[gnu::target("avx2")]] void AdamWAvx2(const AdamWConstants& c, size_t size,
                                       float* __restrict master,
                                       const float* __restrict gradient,
                                       float* __restrict first,
                                       float* __restrict second) {
  AdamWLoop(c, size, master, gradient, first, second);
}

[[gnu::target("avx2")]] void AdamWIntoAvx2(const AdamWConstants& c, size_t size,
                                           const float* __restrict master,
                                           const float* __restrict gradient,
                                           float* __restrict first,
                                           float* __restrict second,
                                           float* __restrict next) {
  AdamWIntoLoop(c, size, master, gradient, first, second, next);
}

[[gnu::target("avx2")]] void ToBfloat16Avx2(size_t size,
                                            const float* __restrict from,
                                            uint16_t* __restrict to) {
  ToBfloat16Loop(size, from, to);
}

}  // namespace

const OptimizerKernels& BaselineKernels() {
  static constexpr OptimizerKernels kKernels = {
      SgdBaseline, SgdIntoBaseline, AdamWBaseline, AdamWIntoBaseline,
      ToBfloat16Baseline};
  return kKernels;
}

const OptimizerKernels& NativeKernels() {
  static constexpr OptimizerKernels kAvx2 = {SgdAvx2, SgdIntoAvx2, AdamWAvx2,
                                             AdamWIntoAvx2, ToBfloat16Avx2};
  return __builtin_cpu_supports("avx2") ? kAvx2 : BaselineKernels();
}

}  // namespace penstock
