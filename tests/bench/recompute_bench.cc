// What recomputing costs beyond the one forward that it is.
//
//   bazel run -c opt //tests/bench:recompute_bench
//
// One stage of two blocks of a GPT, one microbatch, rounds in which F B and
// F R B take turns. Ratio: F R B over F B and one more F (that records), by
// round; median and quartiles. Target: <= 1.05.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "models/graph/layer_kinds.h"
#include "stage_server/engine/activation_store.h"
#include "stage_server/engine/rank_plan.h"
#include "stage_server/engine/stage_module.h"

namespace penstock {
namespace {

constexpr int kWarmUpRounds = 3;
constexpr int kRounds = 25;
constexpr int kLayers = 4;

struct Size {
  int hidden = 0;
  int heads = 0;
  int64_t samples = 0;
  int64_t sequence = 0;
};

LayerSpec LayerAt(int position, const Size& size) {
  LayerSpec layer;
  layer.name = "l" + std::to_string(position);
  layer.inputs = {position == 0 ? "x" : "l" + std::to_string(position - 1)};
  layer.kind = position % 2 == 0 ? "attention" : "mlp_block";
  layer.attributes = {{"hidden", size.hidden}, {"depth", 1}, {"dropout", 0}};
  if (position % 2 == 0) {
    layer.attributes["heads"] = size.heads;
  } else {
    layer.attributes["inner"] = 4 * size.hidden;
  }
  return layer;
}

StageModule MakeStage(const Size& size, bool recomputes) {
  RankPlan plan;
  plan.schedule.num_microbatches = 1;
  RankStage stage;
  stage.id = StageId(1);
  std::vector<LayerTensors> tensors;
  for (int i = 0; i < kLayers; ++i) {
    plan.graph.layers.push_back(LayerAt(i, size));
    StageLayer& layer = stage.layers.emplace_back();
    layer.layer = i;
    layer.inputs = {i == 0 ? InputSource{InputSource::Kind::kEdge, 0}
                           : InputSource{InputSource::Kind::kLayer, i - 1}};
    LayerTensors& of_layer = tensors.emplace_back();
    of_layer.weights.resize(1);
    of_layer.gradients.resize(1);
    const std::vector<ParameterSpec> parameters =
        *ParametersOf(plan.graph.layers.back());
    for (const ParameterSpec& parameter : parameters) {
      of_layer.weights[0].push_back(
          at::randn(parameter.shape).mul_(0.02).requires_grad_());
      of_layer.gradients[0].push_back(at::zeros(parameter.shape));
    }
  }
  stage.in_edges = {{EdgeId(0), 0, StageId(0)}};
  stage.out_edges = {{EdgeId(1), kLayers - 1, StageId(2)}};
  stage.recomputed = {recomputes};
  return *StageModule::Make(plan, stage, std::move(tensors));
}

double Seconds(int64_t from) {
  return static_cast<double>(MonotonicNanos() - from) * 1e-9;
}

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

// A microbatch through the stage; `*forward` is F's share.
double Run(StageModule& stage, bool recomputes, const at::Tensor& tensor,
           double* forward) {
  const MicrobatchId microbatch(0);
  ActivationStore store(/*num_edges=*/2, /*num_microbatches=*/1);
  stage.BeginUpdate();
  Check(store.Put(Direction::kForward, EdgeId(0), microbatch, tensor));
  Check(store.Put(Direction::kBackward, EdgeId(1), microbatch, tensor));
  const int64_t start = MonotonicNanos();
  Check(stage.Forward({microbatch}, store).status());
  *forward = Seconds(start);
  if (recomputes) Check(stage.Recompute(microbatch));
  Check(stage.Backward(microbatch, store));
  return Seconds(start);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size()))];
}

void Measure(const Size& size) {
  StageModule plain = MakeStage(size, false);
  StageModule recomputing = MakeStage(size, true);
  const at::Tensor tensor =
      at::randn({size.samples, size.sequence, size.hidden});
  std::vector<double> plain_seconds, seconds, ratios;
  for (int round = -kWarmUpRounds; round < kRounds; ++round) {
    double forward = 0, unrecorded = 0, one = 0;
    // Each goes first in every second round.
    if (round % 2 == 0) one = Run(plain, false, tensor, &forward);
    const double other = Run(recomputing, true, tensor, &unrecorded);
    if (round % 2 != 0) one = Run(plain, false, tensor, &forward);
    if (round < 0) continue;
    plain_seconds.push_back(one);
    seconds.push_back(other);
    ratios.push_back(other / (one + forward));
  }
  std::printf("%6d %6lld  %9.3f %9.3f  %6.3f [%.3f, %.3f]\n", size.hidden,
              static_cast<long long>(size.samples * size.sequence),
              1e3 * Quantile(plain_seconds, 0.5), 1e3 * Quantile(seconds, 0.5),
              Quantile(ratios, 0.5), Quantile(ratios, 0.25),
              Quantile(ratios, 0.75));
}

int Main() {
  at::set_num_threads(1);
  std::printf("%6s %6s  %9s %9s  %6s %s\n", "hidden", "tokens", "F B ms",
              "F R B ms", "ratio", "[quartiles]");
  Measure({.hidden = 128, .heads = 4, .samples = 4, .sequence = 64});
  Measure({.hidden = 384, .heads = 6, .samples = 4, .sequence = 128});
  return 0;
}

}  // namespace
}  // namespace penstock

int main() { return penstock::Main(); }
