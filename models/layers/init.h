#ifndef PENSTOCK_MODELS_LAYERS_INIT_H_
#define PENSTOCK_MODELS_LAYERS_INIT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "absl/status/status.h"
#include "models/graph/graph.h"

namespace penstock {

// Writes the value with which `parameter` starts into `out`.
//
// Drawn from (seed, parameter name) alone: the same in any process, at any cut
// of the model and in any order of calls. A tied parameter gets its owner's
// value, bit for bit. About 20 ns an element for kNormal.
//
//   INVALID_ARGUMENT  `out` is not contiguous float32 of the parameter's
//                     shape; names the parameter.
absl::Status InitialValue(const ParameterSpec& parameter, uint64_t seed,
                          const at::Tensor& out);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_INIT_H_
