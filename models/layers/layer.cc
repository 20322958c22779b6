#include "models/layers/layer.h"

#include <ATen/core/grad_mode.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/layer_functions.h"
#include "models/layers/torch_status.h"

namespace penstock {
namespace {

std::string Text(const at::Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  return absl::StrCat(at::toString(tensor.scalar_type()), " [",
                      absl::StrJoin(tensor.sizes(), ", "), "]");
}

absl::Status Refusal(const LayerSpec& spec, absl::string_view what,
                     absl::string_view wanted, absl::string_view got) {
  return absl::InvalidArgumentError(absl::StrCat(
      "layer \"", spec.name, "\": ", what, " wants ", wanted, ", got ", got));
}

absl::Status CheckAlignment(const LayerSpec& spec, absl::string_view what,
                            const at::Tensor& tensor) {
  const auto address = reinterpret_cast<uintptr_t>(tensor.const_data_ptr());
  if (address % Layer::kAlignmentBytes == 0 && tensor.is_contiguous()) {
    return absl::OkStatus();
  }
  return Refusal(
      spec, what,
      absl::StrCat("contiguous memory at a multiple of ",
                   Layer::kAlignmentBytes, " bytes"),
      tensor.is_contiguous()
          ? absl::StrCat("a remainder of ", address % Layer::kAlignmentBytes)
          : "gaps");
}

}  // namespace

Layer::Layer(LayerSpec spec, std::vector<ParameterSpec> parameters,
             LayerFunction function)
    : spec_(std::move(spec)),
      parameters_(std::move(parameters)),
      function_(function) {}

absl::StatusOr<Layer> Layer::Make(const LayerSpec& spec) {
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<ParameterSpec> parameters,
                            ParametersOf(spec));
  const LayerFunction function = FindLayerFunction(spec.kind);
  if (function == nullptr) {
    return absl::UnimplementedError(absl::StrCat(
        "layer \"", spec.name, "\": no computation for kind ", spec.kind));
  }
  return Layer(spec, std::move(parameters), function);
}

absl::Status Layer::CheckTensors(absl::Span<const at::Tensor> parameters,
                                 absl::Span<const at::Tensor> inputs) const {
  if (parameters.size() != parameters_.size()) {
    return Refusal(spec_, "it", absl::StrCat(parameters_.size(), " parameters"),
                   absl::StrCat(parameters.size()));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ParameterSpec& want = parameters_[i];
    const at::Tensor& got = parameters[i];
    if (!got.defined() || got.sizes() != at::IntArrayRef(want.shape) ||
        got.scalar_type() != parameters[0].scalar_type() ||
        (got.scalar_type() != at::kFloat &&
         got.scalar_type() != at::kBFloat16 &&
         got.scalar_type() != at::kHalf)) {
      return Refusal(
          spec_, want.name,
          absl::StrCat("float32, bfloat16 or float16, as the others, [",
                       absl::StrJoin(want.shape, ", "), "]"),
          Text(got));
    }
    PENSTOCK_RETURN_IF_ERROR(CheckAlignment(spec_, want.name, got));
  }
  if (inputs.size() != spec_.inputs.size()) {
    return Refusal(spec_, "it", absl::StrCat(spec_.inputs.size(), " inputs"),
                   absl::StrCat(inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string what = absl::StrCat("input \"", spec_.inputs[i], "\"");
    const at::Tensor& got = inputs[i];
    if (!got.defined()) return Refusal(spec_, what, "a tensor", "nothing");
    if (!parameters.empty() && got.scalar_type() != at::kLong &&
        got.scalar_type() != parameters[0].scalar_type()) {
      return Refusal(spec_, what,
                     absl::StrCat("int64 or its parameters' ",
                                  at::toString(parameters[0].scalar_type())),
                     Text(got));
    }
    PENSTOCK_RETURN_IF_ERROR(CheckAlignment(spec_, what, got));
  }
  return absl::OkStatus();
}

absl::Status Layer::CommitStatistics(
    absl::Span<const at::Tensor> of_microbatch,
    absl::Span<const at::Tensor> running) const {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> specs,
                            StatisticsOf(spec_));
  if (specs.empty() || of_microbatch.size() != specs.size() ||
      running.size() != specs.size()) {
    return Refusal(spec_, "it", absl::StrCat(specs.size(), " statistics"),
                   absl::StrCat(of_microbatch.size(), " for ", running.size()));
  }
  const double momentum = spec_.attributes.at("momentum");
  for (size_t i = 0; i < specs.size(); ++i) {
    for (const at::Tensor& tensor : {of_microbatch[i], running[i]}) {
      if (tensor.defined() && tensor.scalar_type() == at::kFloat &&
          tensor.sizes() == at::IntArrayRef(specs[i].shape)) {
        continue;
      }
      return Refusal(
          spec_, specs[i].name,
          absl::StrCat("float32 [", absl::StrJoin(specs[i].shape, ", "), "]"),
          Text(tensor));
    }
    PENSTOCK_RETURN_IF_ERROR(
        CatchTorch(absl::StrCat("statistics of \"", spec_.name, "\""), [&] {
          const at::NoGradGuard no_grad;
          running[i].copy_(
              running[i].mul(1 - momentum).add(of_microbatch[i].mul(momentum)));
        }));
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> Layer::Forward(
    absl::Span<const at::Tensor> parameters,
    absl::Span<const at::Tensor> inputs, const LayerContext& context,
    const LayerSinks& sinks) const {
  return CatchTorch(
      absl::StrCat("layer \"", spec_.name, "\""),
      [&]() -> absl::StatusOr<at::Tensor> {
        PENSTOCK_RETURN_IF_ERROR(CheckTensors(parameters, inputs));
        return function_({spec_, parameters, inputs, context, sinks})
            .contiguous();
      });
}

}  // namespace penstock
