#ifndef PENSTOCK_MODELS_LAYERS_SPLIT_OPS_H_
#define PENSTOCK_MODELS_LAYERS_SPLIT_OPS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "models/layers/layer_call.h"

namespace penstock {

// The operators with weights that layers are made of. Weights are named by
// their index in `call.parameters`.
//
// Where the call has a weight queue and autograd records, an operator's
// backward computes the gradient of its input alone and puts those of its
// weights, in the order in which autograd comes by, into the queue (design: a
// split backward); autograd itself then gives the weights no gradient. Without
// a queue it is the plain libtorch operator. Values and gradients have the same
// bits in both cases.
//
// They throw as libtorch does.

// x W^T (+ b) over the last dimension.
at::Tensor Linear(const LayerCall& call, const at::Tensor& x, int weight,
                  std::optional<int> bias);

// Over the last dimension, with scale and shift.
at::Tensor LayerNorm(const LayerCall& call, const at::Tensor& x, int weight,
                     int bias, double epsilon);

// Rows of the table by `tokens` (int64). Its gradient is dense.
at::Tensor Embedding(const LayerCall& call, const at::Tensor& tokens,
                     int table);

// x [b, s, h] plus the first s rows of a table [positions, h].
at::Tensor AddFirstRows(const LayerCall& call, const at::Tensor& x, int table);

// x times a vector over the last dimension.
at::Tensor Scale(const LayerCall& call, const at::Tensor& x, int weight);

struct ConvolutionShape {
  std::vector<int64_t> stride;
  std::vector<int64_t> padding;
  int64_t groups = 1;
};

// Of [b, c, h, w] with weights [out, c / groups, kh, kw] (and a bias [out]).
at::Tensor Convolution(const LayerCall& call, const at::Tensor& x, int weight,
                       std::optional<int> bias, const ConvolutionShape& shape);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_SPLIT_OPS_H_
