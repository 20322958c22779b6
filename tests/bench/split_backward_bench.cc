// What a split backward costs: I and W against autograd's fused backward with
// accumulation, on the same layer.
//
//   bazel run -c opt //tests/bench:split_backward_bench
//
// For each layer: median seconds of one backward of each kind over rounds in
// which the two take turns, their ratio by round (median, and the quartiles),
// and the share of W. Target: ratio <= 1.02.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/layer.h"
#include "models/layers/weight_queue.h"

namespace penstock {
namespace {

constexpr int kWarmUpRounds = 3;
constexpr int kRounds = 31;

struct BenchLayer {
  LayerSpec spec;
  std::vector<int64_t> input;
};

LayerSpec Spec(const std::string& kind,
               std::map<std::string, double> attributes) {
  return {.name = kind,
          .kind = kind,
          .attributes = std::move(attributes),
          .inputs = {"x"}};
}

std::vector<BenchLayer> Layers() {
  return {
      {Spec("linear", {{"in", 1024}, {"out", 1024}}), {4, 128, 1024}},
      {Spec("mlp_block",
            {{"hidden", 512}, {"inner", 2048}, {"depth", 1}, {"dropout", 0}}),
       {4, 128, 512}},
      {Spec("attention",
            {{"hidden", 512}, {"heads", 8}, {"depth", 1}, {"dropout", 0}}),
       {4, 128, 512}},
      {Spec("mlp_block",
            {{"hidden", 128}, {"inner", 512}, {"depth", 1}, {"dropout", 0}}),
       {2, 64, 128}},
  };
}

// A layer's leaves and its main gradients.
struct Weights {
  std::vector<at::Tensor> leaves;
  std::vector<at::Tensor> gradients;
  std::vector<GradientSum> sums;
};

Weights MakeWeights(const LayerSpec& spec) {
  Weights weights;
  const std::vector<ParameterSpec> parameters = *ParametersOf(spec);
  for (const ParameterSpec& parameter : parameters) {
    weights.leaves.push_back(
        at::randn(parameter.shape).mul_(0.02).requires_grad_());
    weights.gradients.push_back(at::zeros(parameter.shape));
    weights.sums.emplace_back(weights.gradients.back());
  }
  return weights;
}

double Seconds(int64_t from) {
  return static_cast<double>(MonotonicNanos() - from) * 1e-9;
}

// The plain way: autograd fills and adds to the weights' .grad.
double FusedSeconds(const Layer& layer, const Weights& weights,
                    const at::Tensor& input, const at::Tensor& seed) {
  const at::Tensor x = input.detach().requires_grad_();
  const at::Tensor y = *layer.Forward(weights.leaves, {x}, {});
  const int64_t start = MonotonicNanos();
  y.backward(seed);
  return Seconds(start);
}

// I and W; `*weight_seconds` is W's share.
double SplitSeconds(const Layer& layer, Weights& weights,
                    const at::Tensor& input, const at::Tensor& seed,
                    double* weight_seconds) {
  const at::Tensor x = input.detach().requires_grad_();
  WeightQueue queue;
  const at::Tensor y = *layer.Forward(weights.leaves, {x}, {},
                                      {&queue, absl::MakeSpan(weights.sums)});
  const int64_t start = MonotonicNanos();
  y.backward(seed);
  const int64_t middle = MonotonicNanos();
  const at::NoGradGuard no_grad;
  queue.Run();
  *weight_seconds = Seconds(middle);
  return Seconds(start);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size()))];
}

void Measure(const BenchLayer& bench) {
  const Layer layer = *Layer::Make(bench.spec);
  Weights fused = MakeWeights(bench.spec);
  Weights split = MakeWeights(bench.spec);
  const at::Tensor input = at::randn(bench.input);
  const at::Tensor seed =
      at::randn(layer.Forward(fused.leaves, {input}, {})->sizes());
  std::vector<double> fused_seconds, split_seconds, shares, ratios;
  for (int round = -kWarmUpRounds; round < kRounds; ++round) {
    double weight = 0, one = 0, other = 0;
    // Each goes first in every second round.
    if (round % 2 == 0) one = FusedSeconds(layer, fused, input, seed);
    other = SplitSeconds(layer, split, input, seed, &weight);
    if (round % 2 != 0) one = FusedSeconds(layer, fused, input, seed);
    if (round < 0) continue;
    fused_seconds.push_back(one);
    split_seconds.push_back(other);
    shares.push_back(weight / other);
    ratios.push_back(other / one);
  }
  std::printf("%-10s %12lld  %9.3f %9.3f  %6.3f [%.3f, %.3f]  %5.2f\n",
              bench.spec.kind.c_str(), static_cast<long long>(input.numel()),
              1e3 * Quantile(fused_seconds, 0.5),
              1e3 * Quantile(split_seconds, 0.5), Quantile(ratios, 0.5),
              Quantile(ratios, 0.25), Quantile(ratios, 0.75),
              Quantile(shares, 0.5));
}

int Main() {
  at::set_num_threads(1);
  std::printf("%-10s %12s  %9s %9s  %6s %-16s %5s\n", "layer", "elements",
              "fused ms", "I+W ms", "ratio", "[quartiles]", "W");
  for (const BenchLayer& layer : Layers()) Measure(layer);
  return 0;
}

}  // namespace
}  // namespace penstock

int main() { return penstock::Main(); }
