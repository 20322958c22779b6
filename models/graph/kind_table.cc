#include "models/graph/kind_table.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "models/graph/kind_rows.h"
#include "models/graph/kind_rules.h"

namespace penstock {
namespace {

absl::StatusOr<Parameters> TokenEmbeddingParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  return Parameters{Matrix(layer, "token.weight",
                           CountAttribute(layer, "vocabulary"), hidden),
                    Matrix(layer, "position.weight",
                           CountAttribute(layer, "positions"), hidden)};
}

absl::StatusOr<TensorShape> TokenEmbeddingOutput(const LayerSpec& layer,
                                                 Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantTokens(layer, inputs[0]));
  const int64_t positions = CountAttribute(layer, "positions");
  if (inputs[0].shape[1] > positions) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a sequence of ", inputs[0].shape[1], " tokens does not fit its ",
        positions, " positions; shorten it or raise `positions`"));
  }
  return TensorShape{ElementType::kActivation,
                     {inputs[0].shape[0], inputs[0].shape[1],
                      CountAttribute(layer, "hidden")}};
}

absl::StatusOr<Parameters> WindowEmbeddingParameters(const LayerSpec& layer) {
  return Parameters{Matrix(layer, "token.weight",
                           CountAttribute(layer, "vocabulary"),
                           CountAttribute(layer, "hidden"), 1.0)};
}

absl::StatusOr<TensorShape> WindowEmbeddingOutput(const LayerSpec& layer,
                                                  Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantTokens(layer, inputs[0]));
  return TensorShape{
      ElementType::kActivation,
      {inputs[0].shape[0], inputs[0].shape[1],
       CountAttribute(layer, "window") * CountAttribute(layer, "hidden")}};
}

absl::StatusOr<Parameters> AttentionParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  PENSTOCK_RETURN_IF_ERROR(WantEqualHeads(layer));
  return Parameters{Vector(layer, "norm.weight", hidden, InitKind::kOnes),
                    Vector(layer, "norm.bias", hidden, InitKind::kZeros),
                    Matrix(layer, "qkv.weight", 3 * hidden, hidden),
                    Vector(layer, "qkv.bias", 3 * hidden, InitKind::kZeros),
                    Matrix(layer, "projection.weight", hidden, hidden,
                           ResidualDeviation(layer)),
                    Vector(layer, "projection.bias", hidden, InitKind::kZeros)};
}

absl::StatusOr<Parameters> MlpBlockParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  const int64_t inner = CountAttribute(layer, "inner");
  return Parameters{
      Vector(layer, "norm.weight", hidden, InitKind::kOnes),
      Vector(layer, "norm.bias", hidden, InitKind::kZeros),
      Matrix(layer, "up.weight", inner, hidden),
      Vector(layer, "up.bias", inner, InitKind::kZeros),
      Matrix(layer, "down.weight", hidden, inner, ResidualDeviation(layer)),
      Vector(layer, "down.bias", hidden, InitKind::kZeros)};
}

absl::StatusOr<Parameters> LayerNormParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  return Parameters{Vector(layer, "weight", hidden, InitKind::kOnes),
                    Vector(layer, "bias", hidden, InitKind::kZeros)};
}

absl::StatusOr<Parameters> LmHeadParameters(const LayerSpec& layer) {
  ParameterSpec weight =
      Matrix(layer, "weight", CountAttribute(layer, "vocabulary"),
             CountAttribute(layer, "hidden"));
  weight.tied_to = layer.tied_to;
  return Parameters{std::move(weight)};
}

absl::StatusOr<TensorShape> LmHeadOutput(const LayerSpec& layer,
                                         Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(
      WantActivation(inputs[0], CountAttribute(layer, "hidden")));
  return WithLastSize(inputs[0], CountAttribute(layer, "vocabulary"));
}

absl::StatusOr<Parameters> LinearParameters(const LayerSpec& layer) {
  const int64_t out = CountAttribute(layer, "out");
  return Parameters{
      UniformMatrix(layer, "weight", out, CountAttribute(layer, "in")),
      Vector(layer, "bias", out, InitKind::kZeros)};
}

absl::StatusOr<TensorShape> LinearOutput(const LayerSpec& layer,
                                         Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(
      WantActivation(inputs[0], CountAttribute(layer, "in")));
  return WithLastSize(inputs[0], CountAttribute(layer, "out"));
}

absl::StatusOr<TensorShape> ReluOutput(const LayerSpec&, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantActivations(inputs[0]));
  return inputs[0];
}

// What logits for labels of this shape look like: "[8, 64, classes]".
std::string LogitsText(const std::vector<int64_t>& labels) {
  std::vector<std::string> sizes;
  for (const int64_t size : labels) sizes.push_back(absl::StrCat(size));
  sizes.insert(labels.size() == 3 ? sizes.begin() + 1 : sizes.end(), "classes");
  return absl::StrCat("[", absl::StrJoin(sizes, ", "), "]");
}

// The classes are the last dimension, or, of images, the second.
absl::StatusOr<TensorShape> CrossEntropyOutput(const LayerSpec&,
                                               Inputs inputs) {
  std::vector<int64_t> logits = inputs[0].shape;
  const TensorShape& labels = inputs[1];
  if (labels.element_type != ElementType::kInt64) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wants int64 labels, got activations ", ShapeText(labels.shape)));
  }
  const std::ptrdiff_t classes_at =
      logits.size() == 4 ? 1 : static_cast<std::ptrdiff_t>(logits.size()) - 1;
  int64_t classes = 0;
  if (!logits.empty()) {
    classes = logits[classes_at];
    logits.erase(logits.begin() + classes_at);
  }
  if (inputs[0].element_type != ElementType::kActivation || classes == 0 ||
      logits != labels.shape) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wants logits ", LogitsText(labels.shape), " for its labels ",
        ShapeText(labels.shape), ", got ", TensorText(inputs[0])));
  }
  if (labels.limit > classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("wants logits of at least ", labels.limit,
                     " classes for its labels, got ", classes));
  }
  return TensorShape{ElementType::kActivation, {}};
}

std::vector<KindRow> LanguageKinds() {
  constexpr AttributeKind kCount = AttributeKind::kCount;
  constexpr AttributeRow kVocabulary = {"vocabulary", kCount};
  constexpr AttributeRow kHidden = {"hidden", kCount};
  constexpr AttributeRow kDepth = {"depth", kCount};
  constexpr AttributeRow kDropout = {"dropout", AttributeKind::kProbability};
  return {
      {.name = "token_embedding",
       .attributes = {kVocabulary, kHidden, {"positions", kCount}, kDropout},
       .parameters = TokenEmbeddingParameters,
       .output = TokenEmbeddingOutput,
       .kept = KeptByTokenEmbedding},
      {.name = "window_embedding",
       .attributes = {kVocabulary, kHidden, {"window", kCount}},
       .parameters = WindowEmbeddingParameters,
       .output = WindowEmbeddingOutput,
       .kept = KeptByWindowEmbedding},
      {.name = "attention",
       .attributes = {kHidden, {"heads", kCount}, kDepth, kDropout},
       .parameters = AttentionParameters,
       .output = SameAsSequenceInput,
       .kept = KeptByAttention,
       .flops = FlopsOfAttention},
      {.name = "mlp_block",
       .attributes = {kHidden, {"inner", kCount}, kDepth, kDropout},
       .parameters = MlpBlockParameters,
       .output = SameAsHiddenInput,
       .kept = KeptByMlpBlock,
       .flops = FlopsOfMlpBlock},
      {.name = "layer_norm",
       .attributes = {kHidden},
       .parameters = LayerNormParameters,
       .output = SameAsHiddenInput,
       .kept = KeptByLayerNorm},
      {.name = "lm_head",
       .attributes = {kHidden, kVocabulary},
       .may_be_tied = true,
       .parameters = LmHeadParameters,
       .output = LmHeadOutput,
       .kept = KeptByProduct,
       .flops = FlopsOfProduct},
      {.name = "linear",
       .attributes = {{"in", kCount}, {"out", kCount}},
       .parameters = LinearParameters,
       .output = LinearOutput,
       .kept = KeptByProduct,
       .flops = FlopsOfProduct},
      {.name = "relu",
       .parameters = NoParameters,
       .output = ReluOutput,
       .kept = KeptByRelu},
      {.name = "cross_entropy",
       .num_inputs = 2,
       .is_loss = true,
       .parameters = NoParameters,
       .output = CrossEntropyOutput,
       .kept = KeptByCrossEntropy},
  };
}

const std::vector<KindRow>& Kinds() {
  static const auto* const kinds = [] {
    auto* const all = new std::vector<KindRow>;
    for (std::vector<KindRow> rows :
         {LanguageKinds(), LlamaKinds(), VisionKinds(), SequenceKinds()}) {
      for (KindRow& row : rows) all->push_back(std::move(row));
    }
    return all;
  }();
  return *kinds;
}

absl::Status CheckValue(const LayerSpec& layer, const AttributeRow& row,
                        double value) {
  const auto error = [&](absl::string_view wanted) {
    return absl::InvalidArgumentError(absl::StrCat("layer \"", layer.name,
                                                   "\": ", row.name, " is ",
                                                   value, ", want ", wanted));
  };
  switch (row.kind) {
    case AttributeKind::kCount:
      if (!(value >= 1) || value > kMaxCount || value != std::floor(value)) {
        return error(absl::StrCat("an integer in 1..", kMaxCount));
      }
      break;
    case AttributeKind::kAmount:
      if (!(value >= 0) || value > kMaxCount || value != std::floor(value)) {
        return error(absl::StrCat("an integer in 0..", kMaxCount));
      }
      break;
    case AttributeKind::kFlag:
      if (value != 0 && value != 1) return error("0 or 1");
      break;
    case AttributeKind::kPositive:
      if (!(value > 0) || !std::isfinite(value)) {
        return error("a number above 0");
      }
      break;
    case AttributeKind::kProbability:
      if (!(value >= 0) || value >= 1) return error("a number in [0, 1)");
      break;
  }
  return absl::OkStatus();
}

}  // namespace

const KindRow* FindKind(absl::string_view kind) {
  for (const KindRow& row : Kinds()) {
    if (row.name == kind) return &row;
  }
  return nullptr;
}

std::vector<std::string> KindNames() {
  std::vector<std::string> names;
  for (const KindRow& row : Kinds()) names.push_back(row.name);
  return names;
}

absl::Status CheckAttributes(const KindRow& kind, const LayerSpec& layer) {
  std::vector<std::string> known;
  for (const AttributeRow& row : kind.attributes) {
    known.push_back(row.name);
    const auto found = layer.attributes.find(row.name);
    if (found == layer.attributes.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer \"", layer.name, "\": a ", kind.name,
                       " needs the attribute \"", row.name, "\""));
    }
    if (absl::Status status = CheckValue(layer, row, found->second);
        !status.ok()) {
      return status;
    }
  }
  for (const auto& [name, value] : layer.attributes) {
    bool is_known = false;
    for (const std::string& row : known) is_known = is_known || row == name;
    if (is_known) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "layer \"", layer.name, "\": a ", kind.name, " has no attribute \"",
        name, "\"", DidYouMean(name, known)));
  }
  if (!layer.tied_to.empty() && !kind.may_be_tied) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer \"", layer.name, "\": a ", kind.name,
                     " cannot be tied to \"", layer.tied_to, "\""));
  }
  return absl::OkStatus();
}

}  // namespace penstock
