#ifndef PENSTOCK_MODELS_GRAPH_FLOPS_H_
#define PENSTOCK_MODELS_GRAPH_FLOPS_H_

#include "absl/types/span.h"
#include "models/graph/graph.h"

namespace penstock {

// Floating point operations of one layer's products (matrix products and
// convolutions) for one microbatch, two for each multiply-add: those that the
// layer's result needs, however it is computed. Norms, sums and functions of
// single numbers are left out. Doubles, since a count may be beyond 64 bits.
struct LayerFlops {
  double forward = 0;
  // Of the gradients of the inputs (I) and of the weights (W).
  double input_gradient = 0;
  double weight_gradient = 0;
};

struct FlopsRequest {
  const LayerSpec& layer;
  absl::Span<const TensorShape> inputs;
  const TensorShape& output;
};

// Rows of the kind table, of kinds that have products. They may take for
// granted that shapes and attributes were checked.

// `linear`, `lm_head`: from the last size of the input to that of the output.
LayerFlops FlopsOfProduct(const FlopsRequest& request);
LayerFlops FlopsOfConvolution(const FlopsRequest& request);
LayerFlops FlopsOfMlpBlock(const FlopsRequest& request);
LayerFlops FlopsOfSwigluBlock(const FlopsRequest& request);
// Of the attention proper, those of the places that a token may look at: with a
// causal mask half of them.
LayerFlops FlopsOfAttention(const FlopsRequest& request);
LayerFlops FlopsOfRotaryAttention(const FlopsRequest& request);
LayerFlops FlopsOfCrossAttention(const FlopsRequest& request);
LayerFlops FlopsOfLstm(const FlopsRequest& request);
LayerFlops FlopsOfContrastiveLoss(const FlopsRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_FLOPS_H_
