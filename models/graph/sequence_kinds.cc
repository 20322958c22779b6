#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/graph/kind_rows.h"
#include "models/graph/kind_rules.h"

namespace penstock {
namespace {

absl::StatusOr<Parameters> EmbeddingParameters(const LayerSpec& layer) {
  return Parameters{Matrix(layer, "weight", CountAttribute(layer, "vocabulary"),
                           CountAttribute(layer, "hidden"), 1.0)};
}

absl::StatusOr<TensorShape> EmbeddingOutput(const LayerSpec& layer,
                                            Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantTokens(layer, inputs[0]));
  return TensorShape{ElementType::kActivation,
                     {inputs[0].shape[0], inputs[0].shape[1],
                      CountAttribute(layer, "hidden")}};
}

// The rows of the matrices are the input, forget, cell and output gates.
absl::StatusOr<Parameters> LstmParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  const int64_t gates = 4 * hidden;
  return Parameters{
      UniformMatrix(layer, "input.weight", gates, CountAttribute(layer, "in")),
      UniformMatrix(layer, "hidden.weight", gates, hidden),
      Vector(layer, "bias", gates, InitKind::kZeros)};
}

absl::StatusOr<TensorShape> LstmOutput(const LayerSpec& layer, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(
      WantSequence(inputs[0], CountAttribute(layer, "in")));
  return WithLastSize(inputs[0], CountAttribute(layer, "hidden"));
}

absl::StatusOr<Parameters> CrossAttentionParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  PENSTOCK_RETURN_IF_ERROR(WantEqualHeads(layer));
  return Parameters{
      UniformMatrix(layer, "query.weight", hidden, hidden),
      Vector(layer, "query.bias", hidden, InitKind::kZeros),
      UniformMatrix(layer, "key_value.weight", 2 * hidden, hidden),
      Vector(layer, "key_value.bias", 2 * hidden, InitKind::kZeros),
      UniformMatrix(layer, "projection.weight", hidden, hidden),
      Vector(layer, "projection.bias", hidden, InitKind::kZeros)};
}

absl::StatusOr<TensorShape> CrossAttentionOutput(const LayerSpec& layer,
                                                 Inputs inputs) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  const TensorShape& memory = inputs[1];
  const TensorShape& source = inputs[2];
  PENSTOCK_RETURN_IF_ERROR(WantSequence(inputs[0], hidden));
  PENSTOCK_RETURN_IF_ERROR(WantSequence(memory, hidden));
  PENSTOCK_RETURN_IF_ERROR(WantTokens(layer, source));
  if (memory.shape[0] != inputs[0].shape[0] ||
      memory.shape[0] != source.shape[0] ||
      memory.shape[1] != source.shape[1]) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wants one batch, and the source's length of what it attends to; got ",
        ShapeText(inputs[0].shape), ", ", ShapeText(memory.shape),
        " and source ", ShapeText(source.shape)));
  }
  return inputs[0];
}

absl::StatusOr<TensorShape> SequenceMeanOutput(const LayerSpec&,
                                               Inputs inputs) {
  if (inputs[0].element_type != ElementType::kActivation ||
      inputs[0].shape.size() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("wants activations [batch, sequence, hidden], got ",
                     TensorText(inputs[0])));
  }
  return TensorShape{ElementType::kActivation,
                     {inputs[0].shape[0], inputs[0].shape[2]}};
}

absl::StatusOr<TensorShape> L2NormalizeOutput(const LayerSpec&, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantActivations(inputs[0]));
  return inputs[0];
}

absl::StatusOr<Parameters> ContrastiveLossParameters(const LayerSpec& layer) {
  return Parameters{Vector(layer, "log_scale", 1, InitKind::kZeros)};
}

absl::StatusOr<TensorShape> ContrastiveLossOutput(const LayerSpec&,
                                                  Inputs inputs) {
  for (const TensorShape& input : inputs) {
    PENSTOCK_RETURN_IF_ERROR(WantActivations(input));
  }
  if (inputs[0].shape.size() != 2 || inputs[0].shape != inputs[1].shape ||
      inputs[0].shape[0] < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("wants two [batch, hidden] of one shape, with a batch of "
                     "at least 2 samples to tell apart, got ",
                     TensorText(inputs[0]), " and ", TensorText(inputs[1])));
  }
  return TensorShape{ElementType::kActivation, {}};
}

}  // namespace

std::vector<KindRow> SequenceKinds() {
  constexpr AttributeKind kCount = AttributeKind::kCount;
  constexpr AttributeRow kHidden = {"hidden", kCount};
  return {
      {.name = "embedding",
       .attributes = {{"vocabulary", kCount}, kHidden},
       .parameters = EmbeddingParameters,
       .output = EmbeddingOutput,
       .kept = KeptByEmbedding},
      {.name = "lstm",
       .attributes = {{"in", kCount}, kHidden},
       .parameters = LstmParameters,
       .output = LstmOutput,
       .kept = KeptByLstm,
       .flops = FlopsOfLstm},
      {.name = "cross_attention",
       .attributes = {kHidden, {"heads", kCount}},
       .num_inputs = 3,
       .parameters = CrossAttentionParameters,
       .output = CrossAttentionOutput,
       .kept = KeptByCrossAttention,
       .flops = FlopsOfCrossAttention},
      {.name = "sequence_mean",
       .parameters = NoParameters,
       .output = SequenceMeanOutput},
      {.name = "l2_normalize",
       .parameters = NoParameters,
       .output = L2NormalizeOutput,
       .kept = KeptByL2Normalize},
      {.name = "contrastive_loss",
       .attributes = {{"temperature", AttributeKind::kPositive}},
       .num_inputs = 2,
       .is_loss = true,
       .splits_backward = false,
       .parameters = ContrastiveLossParameters,
       .output = ContrastiveLossOutput,
       .kept = KeptByContrastiveLoss,
       .flops = FlopsOfContrastiveLoss},
  };
}

}  // namespace penstock
