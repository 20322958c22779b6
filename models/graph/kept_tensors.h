#ifndef PENSTOCK_MODELS_GRAPH_KEPT_TENSORS_H_
#define PENSTOCK_MODELS_GRAPH_KEPT_TENSORS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/graph/graph.h"

namespace penstock {

// What one layer keeps of one microbatch: an account, made without running it,
// of what its function (models/layers) and libtorch's autograd hold on to. What
// two layers both keep is named rather than counted, so that it can be counted
// once.
struct KeptTensors {
  // The output is the first input's memory.
  bool aliases_input = false;

  // From F to I: these inputs, by index, ...
  std::vector<int> inputs_until_input_gradient;
  // ... the output, ...
  bool output_until_input_gradient = false;
  // ... and what is the layer's alone, in bytes, less what stays on until W.
  int64_t own_until_input_gradient = 0;

  // From F to W: these inputs, and bytes of the layer's alone.
  std::vector<int> inputs_until_weight_gradient;
  int64_t own_until_weight_gradient = 0;

  // From I to W: gradients, in bytes.
  int64_t gradients_until_weight_gradient = 0;
};

// Shapes, and bytes of one number of an activation, that a kind's row needs to
// say what it keeps.
struct KeptRequest {
  const LayerSpec& layer;
  absl::Span<const TensorShape> inputs;
  const TensorShape& output;
  int activation_bytes = 4;
};

// Bytes of a tensor whose activations have numbers of `activation_bytes`.
int64_t BytesOf(const TensorShape& tensor, int activation_bytes);

// Rows of the kind table, of kinds that keep anything.
KeptTensors KeptByTokenEmbedding(const KeptRequest& request);
KeptTensors KeptByWindowEmbedding(const KeptRequest& request);
KeptTensors KeptByEmbedding(const KeptRequest& request);
KeptTensors KeptByAttention(const KeptRequest& request);
KeptTensors KeptByCrossAttention(const KeptRequest& request);
KeptTensors KeptByMlpBlock(const KeptRequest& request);
KeptTensors KeptByRotaryAttention(const KeptRequest& request);
KeptTensors KeptBySwigluBlock(const KeptRequest& request);
KeptTensors KeptByLayerNorm(const KeptRequest& request);
KeptTensors KeptByRmsNorm(const KeptRequest& request);
KeptTensors KeptByL2Normalize(const KeptRequest& request);
KeptTensors KeptByBatchNorm(const KeptRequest& request);
// `linear`, `lm_head`, `convolution`.
KeptTensors KeptByProduct(const KeptRequest& request);
KeptTensors KeptByLstm(const KeptRequest& request);
KeptTensors KeptByRelu(const KeptRequest& request);
KeptTensors KeptByMaxPool(const KeptRequest& request);
KeptTensors KeptByAveragePool(const KeptRequest& request);
KeptTensors KeptByView(const KeptRequest& request);
KeptTensors KeptByCrossEntropy(const KeptRequest& request);
KeptTensors KeptByContrastiveLoss(const KeptRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_KEPT_TENSORS_H_
