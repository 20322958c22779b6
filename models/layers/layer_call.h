#ifndef PENSTOCK_MODELS_LAYERS_LAYER_CALL_H_
#define PENSTOCK_MODELS_LAYERS_LAYER_CALL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/graph/graph.h"
#include "models/layers/weight_queue.h"

namespace penstock {

// What a forward pass is for. With the layer's name it keys all randomness, so
// a re-run (recompute), another cut or a restart draws the same numbers.
struct LayerContext {
  uint64_t seed = 0;
  // The optimizer step, counted from the job's first; any fixed origin.
  int64_t step = 0;
  // Index within the step, over the whole job.
  int64_t microbatch = 0;
  // Without it there is no dropout.
  bool training = true;
};

// Where a forward pass puts what it leaves beside its output. Borrowed, until
// the backward of that pass is done.
struct LayerSinks {
  // Gets the weight gradients that the backward puts off; null: autograd
  // computes them as it does.
  WeightQueue* weight_queue = nullptr;
  // With a queue: one for each parameter, where those gradients are added.
  absl::Span<GradientSum> gradient_sums;
  // Gets the statistics of this microbatch alone, in the order of StatisticsOf
  // (models/graph/layer_kinds.h), from kinds that keep some; to be committed
  // (Layer::CommitStatistics) once a step. Null: nobody wants them, as in a
  // recompute.
  std::vector<at::Tensor>* statistics = nullptr;
};

// The arguments of one forward pass of a layer, checked.
struct LayerCall {
  const LayerSpec& spec;
  absl::Span<const at::Tensor> parameters;
  absl::Span<const at::Tensor> inputs;
  const LayerContext& context;
  const LayerSinks& sinks;
};

// One kind's computation (models/layers/layer_functions.h).
using LayerFunction = at::Tensor (*)(const LayerCall&);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_LAYER_CALL_H_
