// What an update of the weights costs in memory traffic.
//
//   bazel run -c opt //tests/bench:optimizer_bench
//
// One thread, 64 Mi bytes to an array, so that none stays in a cache; rounds in
// which all take turns. GB/s count each array once for a read and once for a
// write. Columns: over the faster of two plain streams of the round (a[i] =
// s * a[i], and c[i] = a[i] + s * b[i]), target >= 0.8; and, for AdamW, the
// time of libtorch's fused kernel (what torch.optim.AdamW(fused=True) runs)
// over ours, target >= 1.0. Medians and quartiles.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/clock.h"
#include "stage_server/engine/optimizer.h"

namespace penstock {
namespace {

constexpr int64_t kElements = 16 << 20;
constexpr int kWarmUpRounds = 2;
constexpr int kRounds = 15;

OptimizerSpec Spec(const char* kind) {
  OptimizerSpec spec;
  spec.set_kind(kind);
  spec.set_momentum(0.9);
  spec.set_beta1(0.9);
  spec.set_beta2(0.95);
  spec.set_epsilon(1e-8);
  spec.set_weight_decay(0.1);
  return spec;
}

absl::Span<float> SpanOf(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(),
          static_cast<size_t>(tensor.numel())};
}

struct Arrays {
  at::Tensor master = at::rand({kElements});
  at::Tensor gradient = at::rand({kElements});
  at::Tensor first = at::rand({kElements});
  at::Tensor second = at::rand({kElements});
  at::Tensor next = at::rand({kElements});
};

void Scale(Arrays& arrays) {
  float* __restrict a = arrays.master.mutable_data_ptr<float>();
  for (int64_t i = 0; i < kElements; ++i) a[i] *= 0.999f;
}

void Triad(Arrays& arrays) {
  const float* __restrict a = arrays.master.const_data_ptr<float>();
  const float* __restrict b = arrays.gradient.const_data_ptr<float>();
  float* __restrict c = arrays.next.mutable_data_ptr<float>();
  for (int64_t i = 0; i < kElements; ++i) c[i] = a[i] + 0.5f * b[i];
}

void Update(const Optimizer& optimizer, Arrays& arrays, bool into) {
  ParameterSpans spans;
  spans.master = SpanOf(arrays.master);
  spans.gradient = SpanOf(arrays.gradient);
  spans.first_moment = SpanOf(arrays.first);
  spans.second_moment = SpanOf(arrays.second);
  if (into) spans.next_master = SpanOf(arrays.next);
  optimizer.Update({0.001, 7, 1.0f, true}, spans);
}

void Fused(Arrays& arrays) {
  static const at::Tensor step = at::full({}, 8.0f);
  std::vector<at::Tensor> steps = {step};
  std::vector<at::Tensor> parameters = {arrays.master};
  std::vector<at::Tensor> gradients = {arrays.gradient};
  std::vector<at::Tensor> first = {arrays.first};
  std::vector<at::Tensor> second = {arrays.second};
  at::_fused_adamw_(parameters, gradients, first, second, {}, steps, 0.001, 0.9,
                    0.95, 0.1, 1e-8, /*amsgrad=*/false,
                    /*maximize=*/false);
}

struct Contender {
  std::string name;
  // Arrays read and written.
  int arrays = 0;
  std::function<void(Arrays&)> run;
  std::vector<double> gigabytes_per_second;
};

double Rate(const Contender& contender, Arrays& arrays) {
  const int64_t start = MonotonicNanos();
  contender.run(arrays);
  return contender.arrays * kElements * 4.0 /
         static_cast<double>(MonotonicNanos() - start);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size()))];
}

std::string Figure(const std::vector<double>& values) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f [%.2f, %.2f]", Quantile(values, 0.5),
                Quantile(values, 0.25), Quantile(values, 0.75));
  return text;
}

// Element by element.
std::vector<double> Over(const std::vector<double>& values,
                         const std::vector<double>& of) {
  std::vector<double> ratios;
  for (size_t i = 0; i < values.size(); ++i) {
    ratios.push_back(values[i] / of[i]);
  }
  return ratios;
}

int Main() {
  at::set_num_threads(1);
  const Optimizer sgd = *Optimizer::Make(Spec("sgd"));
  const Optimizer adamw = *Optimizer::Make(Spec("adamw"));
  std::vector<Contender> contenders = {
      {"stream a = s a", 2, Scale, {}},
      {"stream c = a + s b", 3, Triad, {}},
      {"libtorch fused AdamW", 7, Fused, {}},
      {"SGD", 5, [&](Arrays& a) { Update(sgd, a, false); }, {}},
      {"SGD, other version", 5, [&](Arrays& a) { Update(sgd, a, true); }, {}},
      {"AdamW", 7, [&](Arrays& a) { Update(adamw, a, false); }, {}},
      {"AdamW, other version",
       7,
       [&](Arrays& a) { Update(adamw, a, true); },
       {}}};
  Arrays arrays;
  for (int round = -kWarmUpRounds; round < kRounds; ++round) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      Contender& contender =
          contenders[(i + round + kWarmUpRounds) % contenders.size()];
      const double rate = Rate(contender, arrays);
      if (round >= 0) contender.gigabytes_per_second.push_back(rate);
    }
  }
  std::vector<double> stream = contenders[0].gigabytes_per_second;
  for (size_t i = 0; i < stream.size(); ++i) {
    stream[i] = std::max(stream[i], contenders[1].gigabytes_per_second[i]);
  }
  std::printf("%-22s %-22s %-22s %s\n", "", "GB/s", "of the stream",
              "of libtorch's fused");
  for (const Contender& contender : contenders) {
    const std::vector<double>& rates = contender.gigabytes_per_second;
    const bool is_adamw = contender.name.find("AdamW") != std::string::npos;
    std::printf(
        "%-22s %-22s %-22s %s\n", contender.name.c_str(), Figure(rates).c_str(),
        Figure(Over(rates, stream)).c_str(),
        is_adamw
            ? Figure(Over(rates, contenders[2].gigabytes_per_second)).c_str()
            : "");
  }
  return 0;
}

}  // namespace
}  // namespace penstock

int main() { return penstock::Main(); }
