#ifndef PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_NORM_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_NORM_H_

#include <optional>

#include "absl/types/span.h"

namespace penstock {

// The global gradient norm as a sum that does not depend on the cut: squares
// are added within a parameter in one fixed order, parameters within their
// layer, layers in graph order.

// Sum of squares in double precision, in an order that depends on nothing but
// the number of values. Not finite exactly when a value is not (the square of
// the largest float leaves room for more values than there are).
double SumOfSquares(absl::Span<const float> values);

// One layer's part of the sum of squares.
struct LayerSquares {
  // Index in the model graph.
  int layer = 0;
  double squares = 0;

  friend bool operator==(const LayerSquares&, const LayerSquares&) = default;
};

struct GlobalNorm {
  // Square root of the sum over all layers; not finite when a gradient is not.
  double norm = 0;
  // The first layer, in graph order, with a gradient that is not finite.
  std::optional<int> broken_layer;
};

// Adds the parts in the order of their layers, however they come.
GlobalNorm CombineSquares(absl::Span<const LayerSquares> parts);

// What gradients are multiplied by to bring `norm` down to `clip_norm`: 1 when
// it is no larger or `clip_norm` is 0. The small constant is the usual one
// (PyTorch's clip_grad_norm_), so that runs can be compared.
float ClipScale(double norm, double clip_norm);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_NORM_H_
