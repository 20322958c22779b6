#include "models/graph/kind_rules.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "models/graph/kind_table.h"

namespace penstock {
namespace {

absl::Status Unfit(absl::string_view wanted, const TensorShape& got) {
  return absl::InvalidArgumentError(absl::StrCat(
      "wants ", wanted, ", got ", TensorText(got),
      got.element_type == ElementType::kInt64 ? ", which carries no gradient"
                                              : ""));
}

}  // namespace

ParameterSpec Matrix(const LayerSpec& layer, absl::string_view name,
                     int64_t rows, int64_t columns, double deviation) {
  return {.name = absl::StrCat(layer.name, ".", name),
          .shape = {rows, columns},
          .init = InitKind::kNormal,
          .init_scale = deviation,
          .decay = true};
}

ParameterSpec UniformMatrix(const LayerSpec& layer, absl::string_view name,
                            int64_t rows, int64_t columns) {
  ParameterSpec matrix = Matrix(layer, name, rows, columns);
  matrix.init = InitKind::kUniform;
  matrix.init_scale = 1.0 / std::sqrt(static_cast<double>(columns));
  return matrix;
}

double ResidualDeviation(const LayerSpec& layer) {
  return kInitDeviation /
         std::sqrt(2.0 * static_cast<double>(CountAttribute(layer, "depth")));
}

ParameterSpec Vector(const LayerSpec& layer, absl::string_view name,
                     int64_t size, InitKind init) {
  return {.name = absl::StrCat(layer.name, ".", name),
          .shape = {size},
          .init = init};
}

absl::StatusOr<Parameters> NoParameters(const LayerSpec&) {
  return Parameters{};
}

absl::Status WantActivations(const TensorShape& input) {
  if (input.element_type == ElementType::kActivation) return absl::OkStatus();
  return Unfit("activations", input);
}

absl::Status WantActivation(const TensorShape& input, int64_t last_size) {
  if (input.element_type == ElementType::kActivation && !input.shape.empty() &&
      input.shape.back() == last_size) {
    return absl::OkStatus();
  }
  return Unfit(absl::StrCat("activations [..., ", last_size, "]"), input);
}

absl::Status WantSequence(const TensorShape& input, int64_t hidden) {
  if (input.element_type == ElementType::kActivation &&
      input.shape.size() == 3 && input.shape[2] == hidden) {
    return absl::OkStatus();
  }
  return Unfit(absl::StrCat("activations [batch, sequence, ", hidden, "]"),
               input);
}

absl::Status WantImages(const TensorShape& input, int64_t channels) {
  if (input.element_type == ElementType::kActivation &&
      input.shape.size() == 4 &&
      (channels == 0 || input.shape[1] == channels)) {
    return absl::OkStatus();
  }
  return Unfit(absl::StrCat("activations [batch, ",
                            channels == 0 ? "channels" : absl::StrCat(channels),
                            ", height, width]"),
               input);
}

absl::Status WantEqualHeads(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  const int64_t heads = CountAttribute(layer, "heads");
  if (hidden % heads == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("layer \"", layer.name, "\": hidden ", hidden,
                   " is not a multiple of heads ", heads));
}

absl::StatusOr<TensorShape> SameAsHiddenInput(const LayerSpec& layer,
                                              Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(
      WantActivation(inputs[0], CountAttribute(layer, "hidden")));
  return inputs[0];
}

absl::StatusOr<TensorShape> SameAsSequenceInput(const LayerSpec& layer,
                                                Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(
      WantSequence(inputs[0], CountAttribute(layer, "hidden")));
  return inputs[0];
}

absl::Status WantTokens(const LayerSpec& layer, const TensorShape& input) {
  if (input.element_type != ElementType::kInt64 || input.shape.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wants int64 tokens [batch, sequence], got ",
        input.element_type == ElementType::kInt64 ? "" : "activations ",
        TensorText(input)));
  }
  const auto vocabulary = layer.attributes.find("vocabulary");
  if (vocabulary != layer.attributes.end() &&
      static_cast<double>(input.limit) > vocabulary->second) {
    return absl::InvalidArgumentError(
        absl::StrCat("wants tokens below its vocabulary of ",
                     vocabulary->second, ", got tokens below ", input.limit));
  }
  return absl::OkStatus();
}

TensorShape WithLastSize(TensorShape shape, int64_t last_size) {
  shape.shape.back() = last_size;
  return shape;
}

std::string TensorText(const TensorShape& tensor) {
  return absl::StrCat(
      tensor.element_type == ElementType::kInt64 ? "int64 " : "",
      ShapeText(tensor.shape));
}

int64_t CountAttribute(const LayerSpec& layer, const std::string& name) {
  return static_cast<int64_t>(layer.attributes.at(name));
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace penstock
