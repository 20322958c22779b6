#include "models/graph/kind_table.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/suggest.h"

namespace penstock {
namespace {

using Parameters = std::vector<ParameterSpec>;
using Inputs = absl::Span<const TensorShape>;

// GPT-2's (Radford et al. 2019, section 2.3).
constexpr double kInitDeviation = 0.02;

ParameterSpec Matrix(const LayerSpec& layer, absl::string_view name,
                     int64_t rows, int64_t columns,
                     double deviation = kInitDeviation) {
  return {.name = absl::StrCat(layer.name, ".", name),
          .shape = {rows, columns},
          .init = InitKind::kNormal,
          .init_scale = deviation,
          .decay = true};
}

ParameterSpec Vector(const LayerSpec& layer, absl::string_view name,
                     int64_t size, InitKind init) {
  return {.name = absl::StrCat(layer.name, ".", name),
          .shape = {size},
          .init = init};
}

// GPT-2 scales the projections that end in the residual stream by
// 1/sqrt(number of residual branches); each block has two.
double ResidualDeviation(const LayerSpec& layer) {
  return kInitDeviation /
         std::sqrt(2.0 * static_cast<double>(CountAttribute(layer, "depth")));
}

absl::Status WantInt64(const TensorShape& input, absl::string_view what) {
  if (input.element_type == ElementType::kInt64 && input.shape.size() == 2) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "wants int64 ", what, " [batch, sequence], got ",
      input.element_type == ElementType::kInt64 ? "int64 " : "activations ",
      ShapeText(input.shape)));
}

absl::Status WantActivation(const TensorShape& input, int64_t last_size) {
  if (input.element_type == ElementType::kActivation && !input.shape.empty() &&
      input.shape.back() == last_size) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("wants activations [..., ", last_size, "], got ",
                   input.element_type == ElementType::kInt64 ? "int64 " : "",
                   ShapeText(input.shape)));
}

TensorShape WithLastSize(TensorShape shape, int64_t last_size) {
  shape.shape.back() = last_size;
  return shape;
}

absl::StatusOr<Parameters> TokenEmbeddingParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  return Parameters{Matrix(layer, "token.weight",
                           CountAttribute(layer, "vocabulary"), hidden),
                    Matrix(layer, "position.weight",
                           CountAttribute(layer, "positions"), hidden)};
}

absl::StatusOr<TensorShape> TokenEmbeddingOutput(const LayerSpec& layer,
                                                 Inputs inputs) {
  if (absl::Status status = WantInt64(inputs[0], "tokens"); !status.ok()) {
    return status;
  }
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
  if (absl::Status status = WantInt64(inputs[0], "tokens"); !status.ok()) {
    return status;
  }
  return TensorShape{
      ElementType::kActivation,
      {inputs[0].shape[0], inputs[0].shape[1],
       CountAttribute(layer, "window") * CountAttribute(layer, "hidden")}};
}

absl::StatusOr<Parameters> AttentionParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  const int64_t heads = CountAttribute(layer, "heads");
  if (hidden % heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer \"", layer.name, "\": hidden ", hidden,
                     " is not a multiple of heads ", heads));
  }
  return Parameters{Vector(layer, "norm.weight", hidden, InitKind::kOnes),
                    Vector(layer, "norm.bias", hidden, InitKind::kZeros),
                    Matrix(layer, "qkv.weight", 3 * hidden, hidden),
                    Vector(layer, "qkv.bias", 3 * hidden, InitKind::kZeros),
                    Matrix(layer, "projection.weight", hidden, hidden,
                           ResidualDeviation(layer)),
                    Vector(layer, "projection.bias", hidden, InitKind::kZeros)};
}

absl::StatusOr<TensorShape> AttentionOutput(const LayerSpec& layer,
                                            Inputs inputs) {
  if (inputs[0].shape.size() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("wants activations [batch, sequence, hidden], got ",
                     ShapeText(inputs[0].shape)));
  }
  if (absl::Status status =
          WantActivation(inputs[0], CountAttribute(layer, "hidden"));
      !status.ok()) {
    return status;
  }
  return inputs[0];
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

absl::StatusOr<TensorShape> SameAsHiddenInput(const LayerSpec& layer,
                                              Inputs inputs) {
  if (absl::Status status =
          WantActivation(inputs[0], CountAttribute(layer, "hidden"));
      !status.ok()) {
    return status;
  }
  return inputs[0];
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
  if (absl::Status status =
          WantActivation(inputs[0], CountAttribute(layer, "hidden"));
      !status.ok()) {
    return status;
  }
  return WithLastSize(inputs[0], CountAttribute(layer, "vocabulary"));
}

// The bound is 1/sqrt(inputs), which keeps a deep stack's signal in range.
absl::StatusOr<Parameters> LinearParameters(const LayerSpec& layer) {
  const int64_t in = CountAttribute(layer, "in");
  const int64_t out = CountAttribute(layer, "out");
  ParameterSpec weight = Matrix(layer, "weight", out, in);
  weight.init = InitKind::kUniform;
  weight.init_scale = 1.0 / std::sqrt(static_cast<double>(in));
  return Parameters{std::move(weight),
                    Vector(layer, "bias", out, InitKind::kZeros)};
}

absl::StatusOr<TensorShape> LinearOutput(const LayerSpec& layer,
                                         Inputs inputs) {
  if (absl::Status status =
          WantActivation(inputs[0], CountAttribute(layer, "in"));
      !status.ok()) {
    return status;
  }
  return WithLastSize(inputs[0], CountAttribute(layer, "out"));
}

absl::StatusOr<Parameters> NoParameters(const LayerSpec&) {
  return Parameters{};
}

absl::StatusOr<TensorShape> ReluOutput(const LayerSpec&, Inputs inputs) {
  if (inputs[0].element_type != ElementType::kActivation) {
    return absl::InvalidArgumentError("wants activations, got int64");
  }
  return inputs[0];
}

absl::StatusOr<TensorShape> CrossEntropyOutput(const LayerSpec&,
                                               Inputs inputs) {
  const TensorShape& logits = inputs[0];
  const TensorShape& labels = inputs[1];
  if (absl::Status status = WantInt64(labels, "labels"); !status.ok()) {
    return status;
  }
  if (logits.element_type != ElementType::kActivation ||
      logits.shape.size() != 3 || logits.shape[0] != labels.shape[0] ||
      logits.shape[1] != labels.shape[1]) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wants logits [", labels.shape[0], ", ", labels.shape[1],
        ", vocabulary] for its labels, got ", ShapeText(logits.shape)));
  }
  return TensorShape{ElementType::kActivation, {}};
}

const std::vector<KindRow>& Kinds() {
  constexpr AttributeKind kCount = AttributeKind::kCount;
  constexpr AttributeRow kVocabulary = {"vocabulary", kCount};
  constexpr AttributeRow kHidden = {"hidden", kCount};
  constexpr AttributeRow kDepth = {"depth", kCount};
  constexpr AttributeRow kDropout = {"dropout", AttributeKind::kProbability};
  static const auto* const kinds = new std::vector<KindRow>{
      {.name = "token_embedding",
       .attributes = {kVocabulary, kHidden, {"positions", kCount}, kDropout},
       .parameters = TokenEmbeddingParameters,
       .output = TokenEmbeddingOutput},
      {.name = "window_embedding",
       .attributes = {kVocabulary, kHidden, {"window", kCount}},
       .parameters = WindowEmbeddingParameters,
       .output = WindowEmbeddingOutput},
      {.name = "attention",
       .attributes = {kHidden, {"heads", kCount}, kDepth, kDropout},
       .parameters = AttentionParameters,
       .output = AttentionOutput},
      {.name = "mlp_block",
       .attributes = {kHidden, {"inner", kCount}, kDepth, kDropout},
       .parameters = MlpBlockParameters,
       .output = SameAsHiddenInput},
      {.name = "layer_norm",
       .attributes = {kHidden},
       .parameters = LayerNormParameters,
       .output = SameAsHiddenInput},
      {.name = "lm_head",
       .attributes = {kHidden, kVocabulary},
       .may_be_tied = true,
       .parameters = LmHeadParameters,
       .output = LmHeadOutput},
      {.name = "linear",
       .attributes = {{"in", kCount}, {"out", kCount}},
       .parameters = LinearParameters,
       .output = LinearOutput},
      {.name = "relu", .parameters = NoParameters, .output = ReluOutput},
      {.name = "cross_entropy",
       .num_inputs = 2,
       .is_loss = true,
       .parameters = NoParameters,
       .output = CrossEntropyOutput},
  };
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

int64_t CountAttribute(const LayerSpec& layer, const std::string& name) {
  return static_cast<int64_t>(layer.attributes.at(name));
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace penstock
