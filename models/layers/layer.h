#ifndef PENSTOCK_MODELS_LAYERS_LAYER_H_
#define PENSTOCK_MODELS_LAYERS_LAYER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/graph/graph.h"
#include "models/layers/layer_call.h"

namespace penstock {

// The computation of one LayerSpec in libtorch. Holds no tensor: parameters
// and activations are the caller's, so one Layer serves every weight version
// and microbatch. Immutable, thread-safe.
//
// Equal bits in, equal bits out, in any process and beside any other layers,
// as long as the intra-op thread count, the libtorch version and the CPU's
// capability level are the same. For that every tensor handed in, and every
// gradient handed to the backward, must begin at a multiple of
// `kAlignmentBytes`: MKL may sum a product in another order at another
// alignment. libtorch's own allocations do; views into flat buffers must be
// laid out so.
class Layer {
 public:
  static constexpr int64_t kAlignmentBytes = 64;

  // INVALID_ARGUMENT as ParametersOf (models/graph/layer_kinds.h).
  static absl::StatusOr<Layer> Make(const LayerSpec& spec);

  const LayerSpec& spec() const { return spec_; }

  // The layer's output; autograd records it when it is on and something
  // requires a gradient. Makes no tensor require a gradient, changes none.
  //
  // With a weight queue in `sinks` the recorded backward gives no gradient to
  // the parameters of operators that can split it (split_ops.h), but puts it
  // off into the queue. Others' parameters get theirs from autograd. The bits
  // are those without a queue.
  //
  // `parameters` in the order and shapes of ParametersOf, all float32 or all
  // bfloat16; `inputs` in the spec's order: activations of the parameters'
  // type, tokens and labels int64. The output is contiguous, of that type; a
  // loss is always float32.
  //
  //   INVALID_ARGUMENT    wrong number, type, shape or alignment of tensors.
  //   RESOURCE_EXHAUSTED  no memory.
  //   INTERNAL            libtorch's message, for example a token outside the
  //                       vocabulary.
  // All name the layer. No exception leaves it.
  absl::StatusOr<at::Tensor> Forward(absl::Span<const at::Tensor> parameters,
                                     absl::Span<const at::Tensor> inputs,
                                     const LayerContext& context,
                                     const LayerSinks& sinks = {}) const;

  // Moves the running statistics by those of one microbatch:
  // running = (1 - momentum) * running + momentum * of_microbatch. Float32,
  // both in the order and shapes of StatisticsOf; call it microbatch by
  // microbatch, in their order, since each rounds.
  //   INVALID_ARGUMENT  wrong number or type of tensors, or a kind without
  //                     statistics.
  absl::Status CommitStatistics(absl::Span<const at::Tensor> of_microbatch,
                                absl::Span<const at::Tensor> running) const;

 private:
  Layer(LayerSpec spec, std::vector<ParameterSpec> parameters,
        LayerFunction function);

  absl::Status CheckTensors(absl::Span<const at::Tensor> parameters,
                            absl::Span<const at::Tensor> inputs) const;

  LayerSpec spec_;
  std::vector<ParameterSpec> parameters_;
  LayerFunction function_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_LAYER_H_
