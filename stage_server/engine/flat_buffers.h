#ifndef PENSTOCK_STAGE_SERVER_ENGINE_FLAT_BUFFERS_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_FLAT_BUFFERS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "models/graph/graph.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/flat_layout.h"
#include "stage_server/engine/optimizer.h"

namespace penstock {

// What flat buffers take, with the gaps in them.
struct FlatBytes {
  // Masters, and bfloat16 copies of them.
  int64_t weights = 0;
  int64_t gradients = 0;
  int64_t moments = 0;
};

// The parameters that one stage owns, each kind of number in one flat buffer:
// float32 masters, gradients and moments, and the weights that the layers read
// (the masters themselves, or narrower copies). One weight version, updated in
// place: only for schedules that flush before each update.
//
// Used by one thread. Libtorch's exceptions pass through.
class FlatBuffers {
 public:
  // Draws the initial values (models/layers/init.h); moments are zero. Float32
  // per parameter: 12 bytes for SGD and 16 for AdamW, with weights of another
  // type 2 more. `weight_type` is float32, bfloat16 or float16.
  //   INVALID_ARGUMENT  a parameter is tied: it is not owned.
  static absl::StatusOr<FlatBuffers> Make(std::vector<ParameterSpec> parameters,
                                          uint64_t seed,
                                          at::ScalarType weight_type,
                                          int num_moments, Device& device);

  const std::vector<ParameterSpec>& parameters() const { return parameters_; }

  // A leaf that views the parameter's weight; autograd differentiates by it. A
  // new one with each call, all of the same memory.
  at::Tensor WeightLeaf(int parameter) const;
  // Views in the parameter's shape.
  at::Tensor Master(int parameter) const;
  at::Tensor Gradient(int parameter) const;

  // All gradients, with the gaps between them.
  const at::Tensor& flat_gradient() const { return gradient_; }

  FlatBytes bytes() const;

  // One update of all parameters from their gradients, which stay.
  // `arguments.decay` is set here.
  void Update(const Optimizer& optimizer, UpdateArguments arguments,
              Device& device);

 private:
  FlatBuffers() = default;

  at::Tensor View(const at::Tensor& flat, int parameter) const;

  std::vector<ParameterSpec> parameters_;
  FlatLayout layout_;
  at::Tensor master_;
  at::Tensor gradient_;
  // Undefined where the optimizer has fewer.
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  // Undefined for float32.
  at::Tensor narrow_weight_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_FLAT_BUFFERS_H_
