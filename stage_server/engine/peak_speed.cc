#include "stage_server/engine/peak_speed.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "models/layers/torch_status.h"

namespace penstock {
namespace {

// A product that takes so long is not held up by its launch or by caches that
// must fill.
constexpr int64_t kLongEnoughNanos = 1'000'000;
constexpr int64_t kFirstSize = 256;
constexpr int64_t kLargestSize = 8192;
constexpr int kRepeats = 5;

at::ScalarType TypeOf(const Job& job) {
  return job.dtype() == "bfloat16"  ? at::kBFloat16
         : job.dtype() == "float16" ? at::kHalf
                                    : at::kFloat;
}

// Of a square matrix by itself, the shortest of some.
int64_t ProductNanos(const at::Tensor& matrix, int repeats, Device& device) {
  int64_t shortest = 0;
  for (int i = 0; i < repeats; ++i) {
    device.Synchronize();
    const int64_t start = MonotonicNanos();
    const at::Tensor product = at::mm(matrix, matrix);
    device.Synchronize();
    const int64_t nanos = std::max<int64_t>(1, MonotonicNanos() - start);
    shortest = i == 0 ? nanos : std::min(shortest, nanos);
  }
  return shortest;
}

double Measure(at::ScalarType type, Device& device) {
  const at::NoGradGuard no_grad;
  for (int64_t size = kFirstSize;; size *= 2) {
    // Sums stay exact, and in the range of every type.
    const at::Tensor matrix =
        at::full({size, size}, 0.0625,
                 at::TensorOptions().dtype(type).device(device.torch_device()));
    // The first one also makes what later ones find.
    const bool is_long = ProductNanos(matrix, 2, device) >= kLongEnoughNanos;
    if (!is_long && size < kLargestSize) continue;
    const auto side = static_cast<double>(size);
    return 2 * side * side * side /
           (1e-9 * static_cast<double>(ProductNanos(matrix, kRepeats, device)));
  }
}

}  // namespace

double PeakSpeed::Of(const Job& job) {
  if (job.has_emulate()) return 0;
  const auto [place, is_new] =
      measured_.try_emplace({job.threads(), job.dtype()}, 0);
  if (is_new) {
    const absl::StatusOr<double> speed = CatchTorch(
        "measuring the device", [&] { return Measure(TypeOf(job), device_); });
    if (speed.ok()) place->second = *speed;
  }
  return place->second;
}

}  // namespace penstock
