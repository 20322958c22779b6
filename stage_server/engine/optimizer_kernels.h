#ifndef PENSTOCK_STAGE_SERVER_ENGINE_OPTIMIZER_KERNELS_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_OPTIMIZER_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace penstock {

// The loops of the update rules (optimizer.h), for the widest registers that
// the processor has. The bits are the same for all: products and sums are never
// fused, and square root and division are rounded as IEEE 754 says.

struct SgdConstants {
  float learning_rate;
  float momentum;
  float decay;
  float scale;
};

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

// Each over `size` elements of arrays that do not overlap. `into` kernels leave
// `master` as it is and write `next`.
struct OptimizerKernels {
  void (*sgd)(const SgdConstants& constants, size_t size, float* master,
              const float* gradient, float* velocity);
  void (*sgd_into)(const SgdConstants& constants, size_t size,
                   const float* master, const float* gradient, float* velocity,
                   float* next);
  void (*adamw)(const AdamWConstants& constants, size_t size, float* master,
                const float* gradient, float* first, float* second);
  void (*adamw_into)(const AdamWConstants& constants, size_t size,
                     const float* master, const float* gradient, float* first,
                     float* second, float* next);
  // To nearest, ties to even; NaN stays NaN.
  void (*to_bfloat16)(size_t size, const float* from, uint16_t* to);
};

// For any x86-64.
const OptimizerKernels& BaselineKernels();
// For this processor.
const OptimizerKernels& NativeKernels();

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_OPTIMIZER_KERNELS_H_
