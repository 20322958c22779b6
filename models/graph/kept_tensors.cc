#include "models/graph/kept_tensors.h"

#include <algorithm>
#include <string>

namespace penstock {
namespace {

constexpr int64_t kFloatBytes = 4;
constexpr int64_t kIndexBytes = 8;

int64_t Elements(const TensorShape& tensor) {
  int64_t count = 1;
  for (const int64_t size : tensor.shape) count *= size;
  return count;
}

// Elements but for the last dimension.
int64_t Rows(const TensorShape& tensor) {
  return tensor.shape.empty() || tensor.shape.back() == 0
             ? 0
             : Elements(tensor) / tensor.shape.back();
}

int64_t Attribute(const LayerSpec& layer, const std::string& name) {
  const auto found = layer.attributes.find(name);
  return found == layer.attributes.end() ? 0
                                         : static_cast<int64_t>(found->second);
}

// A dropout keeps which numbers it kept, one byte each.
int64_t DropoutMask(const KeptRequest& request) {
  const auto found = request.layer.attributes.find("dropout");
  const bool drops =
      found != request.layer.attributes.end() && found->second > 0;
  return drops ? Elements(request.output) : 0;
}

int64_t OutputBytes(const KeptRequest& request) {
  return BytesOf(request.output, request.activation_bytes);
}

// What a computation in float32 keeps of a first input that is not: its copy.
// Of one that is, it keeps the input itself.
void KeepFirstAsFloat(const KeptRequest& request, KeptTensors* kept) {
  if (request.activation_bytes == kFloatBytes) {
    kept->inputs_until_input_gradient = {0};
  } else {
    kept->own_until_input_gradient += kFloatBytes * Elements(request.inputs[0]);
  }
}

// A norm's mean and deviation.
int64_t NormStatistics(const KeptRequest& request) {
  return 2 * Rows(request.inputs[0]) * request.activation_bytes;
}

}  // namespace

int64_t BytesOf(const TensorShape& tensor, int activation_bytes) {
  return Elements(tensor) * (tensor.element_type == ElementType::kInt64
                                 ? kIndexBytes
                                 : int64_t{activation_bytes});
}

KeptTensors KeptByEmbedding(const KeptRequest& request) {
  KeptTensors kept;
  kept.inputs_until_weight_gradient = {0};
  kept.gradients_until_weight_gradient = OutputBytes(request);
  return kept;
}

KeptTensors KeptByTokenEmbedding(const KeptRequest& request) {
  KeptTensors kept = KeptByEmbedding(request);
  kept.own_until_input_gradient = DropoutMask(request);
  return kept;
}

// Of the embeddings of single tokens, not of windows.
KeptTensors KeptByWindowEmbedding(const KeptRequest& request) {
  KeptTensors kept = KeptByEmbedding(request);
  kept.gradients_until_weight_gradient = Elements(request.inputs[0]) *
                                         Attribute(request.layer, "hidden") *
                                         request.activation_bytes;
  return kept;
}

// The norm's output, queries, keys and values, what the attention gives, and
// its logarithms of sums.
KeptTensors KeptByAttention(const KeptRequest& request) {
  const int64_t hidden = OutputBytes(request);
  const int64_t sums =
      Rows(request.inputs[0]) * Attribute(request.layer, "heads") * kFloatBytes;
  KeptTensors kept;
  kept.own_until_input_gradient = 3 * hidden + sums + DropoutMask(request);
  kept.inputs_until_weight_gradient = {0};
  kept.own_until_weight_gradient = 2 * hidden + NormStatistics(request);
  // Of the norm's output, of queries, keys and values, of the projection.
  kept.gradients_until_weight_gradient = (1 + 3 + 1) * hidden;
  return kept;
}

KeptTensors KeptByCrossAttention(const KeptRequest& request) {
  const int64_t hidden = OutputBytes(request);
  const int64_t memory = BytesOf(request.inputs[1], request.activation_bytes);
  const int64_t sums =
      Rows(request.inputs[0]) * Attribute(request.layer, "heads") * kFloatBytes;
  const int64_t mask = Elements(request.inputs[2]) * request.activation_bytes;
  KeptTensors kept;
  kept.own_until_input_gradient = hidden + 2 * memory + sums + mask;
  kept.inputs_until_weight_gradient = {0, 1};
  kept.own_until_weight_gradient = hidden;
  kept.gradients_until_weight_gradient = 2 * hidden + 2 * memory;
  return kept;
}

KeptTensors KeptByMlpBlock(const KeptRequest& request) {
  const int64_t hidden = OutputBytes(request);
  const int64_t inner = Rows(request.output) *
                        Attribute(request.layer, "inner") *
                        request.activation_bytes;
  KeptTensors kept;
  // The input of the GELU; its output stays on.
  kept.own_until_input_gradient = inner + DropoutMask(request);
  kept.inputs_until_weight_gradient = {0};
  kept.own_until_weight_gradient = hidden + inner + NormStatistics(request);
  kept.gradients_until_weight_gradient = 2 * hidden + inner;
  return kept;
}

KeptTensors KeptByLayerNorm(const KeptRequest& request) {
  KeptTensors kept;
  kept.inputs_until_weight_gradient = {0};
  kept.own_until_weight_gradient = NormStatistics(request);
  kept.gradients_until_weight_gradient = OutputBytes(request);
  return kept;
}

KeptTensors KeptByRmsNorm(const KeptRequest& request) {
  KeptTensors kept;
  KeepFirstAsFloat(request, &kept);
  kept.own_until_input_gradient += Rows(request.inputs[0]) * kFloatBytes;
  kept.own_until_weight_gradient = OutputBytes(request);
  kept.gradients_until_weight_gradient = OutputBytes(request);
  return kept;
}

// The turned queries and keys and the values, each for every head, and the
// sines and cosines they are turned by.
KeptTensors KeptByRotaryAttention(const KeptRequest& request) {
  KeptTensors kept = KeptByRmsNorm(request);
  const int64_t hidden = OutputBytes(request);
  const int64_t heads = std::max<int64_t>(1, Attribute(request.layer, "heads"));
  const int64_t sums = Rows(request.inputs[0]) * heads * kFloatBytes;
  const int64_t size = request.output.shape.back() / heads;
  const int64_t angles =
      4 * request.output.shape[1] * (size / 2) * request.activation_bytes;
  const int64_t key_values = 2 * Attribute(request.layer, "key_heads") * size *
                             Rows(request.output) * request.activation_bytes;
  kept.own_until_input_gradient += 3 * hidden + sums + angles;
  // The norm's output, and what the attention gives.
  kept.own_until_weight_gradient += 2 * hidden;
  kept.gradients_until_weight_gradient += 2 * hidden + key_values;
  return kept;
}

KeptTensors KeptBySwigluBlock(const KeptRequest& request) {
  KeptTensors kept = KeptByRmsNorm(request);
  const int64_t hidden = OutputBytes(request);
  const int64_t inner = Rows(request.output) *
                        Attribute(request.layer, "inner") *
                        request.activation_bytes;
  // Both halves before the product, and the SiLU; the product stays on.
  kept.own_until_input_gradient += 2 * inner + inner;
  kept.own_until_weight_gradient += hidden + inner;
  kept.gradients_until_weight_gradient += hidden + 2 * inner;
  return kept;
}

KeptTensors KeptByL2Normalize(const KeptRequest& request) {
  KeptTensors kept;
  KeepFirstAsFloat(request, &kept);
  kept.own_until_input_gradient += Rows(request.inputs[0]) * kFloatBytes;
  return kept;
}

// Not split: what I leaves are its two finished gradients.
KeptTensors KeptByBatchNorm(const KeptRequest& request) {
  const int64_t channels = Attribute(request.layer, "channels");
  KeptTensors kept;
  KeepFirstAsFloat(request, &kept);
  kept.own_until_input_gradient += 2 * channels * kFloatBytes;
  kept.gradients_until_weight_gradient =
      2 * channels * request.activation_bytes;
  return kept;
}

KeptTensors KeptByProduct(const KeptRequest& request) {
  KeptTensors kept;
  kept.inputs_until_weight_gradient = {0};
  kept.gradients_until_weight_gradient = OutputBytes(request);
  return kept;
}

// Of each step: four gates, the cell and the hidden state, the last two also
// from before the first step.
KeptTensors KeptByLstm(const KeptRequest& request) {
  const int64_t hidden = OutputBytes(request);
  const int64_t steps = request.output.shape[1];
  const int64_t states = 2 * (hidden + hidden / std::max<int64_t>(1, steps));
  KeptTensors kept;
  kept.own_until_input_gradient = 4 * hidden + states;
  kept.inputs_until_weight_gradient = {0};
  // The gradient of the gates, and the hidden states in one piece.
  kept.gradients_until_weight_gradient = 4 * hidden + hidden;
  return kept;
}

KeptTensors KeptByRelu(const KeptRequest&) {
  KeptTensors kept;
  kept.output_until_input_gradient = true;
  return kept;
}

// The input, and where each maximum was.
KeptTensors KeptByMaxPool(const KeptRequest& request) {
  KeptTensors kept;
  kept.inputs_until_input_gradient = {0};
  kept.own_until_input_gradient = kIndexBytes * Elements(request.output);
  return kept;
}

KeptTensors KeptByAveragePool(const KeptRequest&) {
  KeptTensors kept;
  kept.inputs_until_input_gradient = {0};
  return kept;
}

KeptTensors KeptByView(const KeptRequest&) {
  KeptTensors kept;
  kept.aliases_input = true;
  return kept;
}

// The logarithms of the probabilities, in float32, and the labels.
KeptTensors KeptByCrossEntropy(const KeptRequest& request) {
  KeptTensors kept;
  kept.inputs_until_input_gradient = {1};
  kept.own_until_input_gradient = kFloatBytes * Elements(request.inputs[0]);
  return kept;
}

// Products before and after the scale, and logarithms both ways.
KeptTensors KeptByContrastiveLoss(const KeptRequest& request) {
  const int64_t batch = request.inputs[0].shape[0];
  KeptTensors kept;
  kept.inputs_until_input_gradient = {0, 1};
  kept.own_until_input_gradient = 3 * kFloatBytes * batch * batch;
  if (request.activation_bytes != kFloatBytes) {
    kept.inputs_until_input_gradient.clear();
    kept.own_until_input_gradient +=
        2 * kFloatBytes * Elements(request.inputs[0]);
  }
  kept.gradients_until_weight_gradient = request.activation_bytes;
  return kept;
}

}  // namespace penstock
