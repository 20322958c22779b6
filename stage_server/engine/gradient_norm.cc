#include "stage_server/engine/gradient_norm.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace penstock {
namespace {

constexpr double kClipEpsilon = 1e-6;

}  // namespace

double SumOfSquares(absl::Span<const float> values) {
  // Eight sums side by side, so that the order is the same whether the
  // compiler uses vectors of two, four or eight.
  constexpr size_t kLanes = 8;
  double lanes[kLanes] = {};
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (size_t i = whole; i < values.size(); ++i) {
    const double value = values[i];
    lanes[i - whole] += value * value;
  }
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

GlobalNorm CombineSquares(absl::Span<const LayerSquares> parts) {
  std::vector<LayerSquares> sorted(parts.begin(), parts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const LayerSquares& a, const LayerSquares& b) {
                     return a.layer < b.layer;
                   });
  GlobalNorm result;
  double sum = 0;
  for (const LayerSquares& part : sorted) {
    sum += part.squares;
    if (!std::isfinite(part.squares) && !result.broken_layer.has_value()) {
      result.broken_layer = part.layer;
    }
  }
  result.norm = std::sqrt(sum);
  return result;
}

float ClipScale(double norm, double clip_norm) {
  if (clip_norm <= 0) return 1.0f;
  return static_cast<float>(std::min(1.0, clip_norm / (norm + kClipEpsilon)));
}

}  // namespace penstock
