#include <ATen/ops/alias.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "models/layers/kind_functions.h"
#include "models/layers/split_ops.h"

namespace penstock {
namespace {

constexpr double kNormEpsilon = 1e-5;

int64_t Count(const LayerCall& call, const char* attribute) {
  return static_cast<int64_t>(call.spec.attributes.at(attribute));
}

std::vector<int64_t> Square(const LayerCall& call, const char* attribute) {
  return std::vector<int64_t>(2, Count(call, attribute));
}

at::Tensor ConvolutionLayer(const LayerCall& call) {
  std::optional<int> bias;
  if (Count(call, "bias") != 0) bias = 1;
  return Convolution(
      call, call.inputs[0], 0, bias,
      {Square(call, "stride"), Square(call, "padding"), Count(call, "groups")});
}

// In float32: the variance of bfloat16 numbers needs more digits than they
// have. Without training, by the running statistics, which are then in the
// sink.
at::Tensor BatchNorm(const LayerCall& call) {
  const at::Tensor& x = call.inputs[0];
  const at::Tensor scale = call.parameters[0].to(at::kFloat);
  const at::Tensor shift = call.parameters[1].to(at::kFloat);
  if (!call.context.training) {
    const std::vector<at::Tensor>* const running = call.sinks.statistics;
    TORCH_CHECK(running != nullptr && running->size() == 2,
                "a batch norm runs in training only where it is given no "
                "running statistics");
    return std::get<0>(at::native_batch_norm(x.to(at::kFloat), scale, shift,
                                             (*running)[0], (*running)[1],
                                             /*training=*/false, /*momentum=*/0,
                                             kNormEpsilon))
        .to(x.scalar_type());
  }
  // With a momentum of 1 these become the microbatch's own mean and (unbiased)
  // variance.
  const at::Tensor mean = at::zeros(scale.sizes(), at::kFloat);
  const at::Tensor variance = at::zeros(scale.sizes(), at::kFloat);
  const at::Tensor y = std::get<0>(at::native_batch_norm(
      x.to(at::kFloat), scale, shift, mean, variance, /*training=*/true,
      /*momentum=*/1.0, kNormEpsilon));
  if (call.sinks.statistics != nullptr) {
    *call.sinks.statistics = {mean, variance};
  }
  return y.to(x.scalar_type());
}

at::Tensor MaxPool(const LayerCall& call) {
  return at::max_pool2d(call.inputs[0], Square(call, "kernel"),
                        Square(call, "stride"), Square(call, "padding"));
}

at::Tensor AveragePool(const LayerCall& call) {
  return at::avg_pool2d(call.inputs[0], Square(call, "kernel"),
                        Square(call, "stride"), Square(call, "padding"));
}

at::Tensor GlobalAveragePool(const LayerCall& call) {
  return call.inputs[0].flatten(2).mean(2);
}

at::Tensor Upsample(const LayerCall& call) {
  const at::Tensor& x = call.inputs[0];
  const int64_t factor = Count(call, "factor");
  return at::upsample_nearest2d(x, {x.size(2) * factor, x.size(3) * factor});
}

at::Tensor Flatten(const LayerCall& call) { return call.inputs[0].flatten(1); }

// The same memory, and a step of its own in autograd's record.
at::Tensor Copy(const LayerCall& call) { return at::alias(call.inputs[0]); }

at::Tensor Add(const LayerCall& call) {
  at::Tensor sum = call.inputs[0];
  for (const at::Tensor& other : call.inputs.subspan(1)) sum = sum.add(other);
  return sum;
}

at::Tensor Concat(const LayerCall& call) {
  const at::Tensor& first = call.inputs[0];
  return at::cat({call.inputs.begin(), call.inputs.end()},
                 first.dim() == 4 ? 1 : -1);
}

constexpr FunctionRow kFunctions[] = {
    {"convolution", ConvolutionLayer},
    {"batch_norm", BatchNorm},
    {"max_pool", MaxPool},
    {"average_pool", AveragePool},
    {"global_average_pool", GlobalAveragePool},
    {"upsample", Upsample},
    {"flatten", Flatten},
    {"copy", Copy},
    {"add", Add},
    {"concat", Concat},
};

}  // namespace

absl::Span<const FunctionRow> VisionFunctions() { return kFunctions; }

}  // namespace penstock
