#include "models/graph/flops.h"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {
namespace {

double Elements(const TensorShape& tensor) {
  double count = 1;
  for (const int64_t size : tensor.shape) count *= static_cast<double>(size);
  return count;
}

// Elements but for the last dimension.
double Rows(const TensorShape& tensor) {
  return Elements(tensor) / static_cast<double>(tensor.shape.back());
}

double Attribute(const LayerSpec& layer, const std::string& name) {
  return layer.attributes.at(name);
}

// `rows` rows times matrices of so many elements together. Each of the two
// gradients is a product as large.
LayerFlops OfMatrices(double rows, double elements) {
  const double flops = 2 * rows * elements;
  return {flops, flops, flops};
}

// Adds scores and their use: each of `pairs` has two products of `hidden`, and
// twice as many backward, where no weight is involved.
LayerFlops WithScores(LayerFlops flops, double pairs, double hidden) {
  const double products = 2 * 2 * pairs * hidden;
  flops.forward += products;
  flops.input_gradient += 2 * products;
  return flops;
}

// Of [batch, sequence, hidden], each token with itself and those before it.
double CausalPairs(const TensorShape& input) {
  const auto batch = static_cast<double>(input.shape[0]);
  const auto length = static_cast<double>(input.shape[1]);
  return batch * length * (length + 1) / 2;
}

LayerFlops OfSelfAttention(const FlopsRequest& request, double elements) {
  const TensorShape& input = request.inputs[0];
  return WithScores(OfMatrices(Rows(input), elements), CausalPairs(input),
                    Attribute(request.layer, "hidden"));
}

}  // namespace

LayerFlops FlopsOfProduct(const FlopsRequest& request) {
  const TensorShape& input = request.inputs[0];
  return OfMatrices(Rows(input),
                    static_cast<double>(input.shape.back()) *
                        static_cast<double>(request.output.shape.back()));
}

LayerFlops FlopsOfConvolution(const FlopsRequest& request) {
  const LayerSpec& layer = request.layer;
  const double kernel = Attribute(layer, "kernel");
  return OfMatrices(
      Elements(request.output),
      Attribute(layer, "in") / Attribute(layer, "groups") * kernel * kernel);
}

LayerFlops FlopsOfMlpBlock(const FlopsRequest& request) {
  return OfMatrices(Rows(request.inputs[0]),
                    2 * Attribute(request.layer, "hidden") *
                        Attribute(request.layer, "inner"));
}

LayerFlops FlopsOfSwigluBlock(const FlopsRequest& request) {
  return OfMatrices(Rows(request.inputs[0]),
                    3 * Attribute(request.layer, "hidden") *
                        Attribute(request.layer, "inner"));
}

LayerFlops FlopsOfAttention(const FlopsRequest& request) {
  const double hidden = Attribute(request.layer, "hidden");
  return OfSelfAttention(request, 4 * hidden * hidden);
}

// Keys and values are of fewer heads than queries.
LayerFlops FlopsOfRotaryAttention(const FlopsRequest& request) {
  const LayerSpec& layer = request.layer;
  const double hidden = Attribute(layer, "hidden");
  const double shared =
      Attribute(layer, "key_heads") / Attribute(layer, "heads");
  return OfSelfAttention(request, (2 + 2 * shared) * hidden * hidden);
}

LayerFlops FlopsOfCrossAttention(const FlopsRequest& request) {
  const double hidden = Attribute(request.layer, "hidden");
  const TensorShape& target = request.inputs[0];
  const TensorShape& source = request.inputs[1];
  // Query and projection of the target, key and value of the source.
  const LayerFlops products =
      OfMatrices(Rows(target) + Rows(source), 2 * hidden * hidden);
  return WithScores(
      products, Rows(target) * static_cast<double>(source.shape[1]), hidden);
}

LayerFlops FlopsOfLstm(const FlopsRequest& request) {
  const double hidden = Attribute(request.layer, "hidden");
  return OfMatrices(Rows(request.inputs[0]),
                    4 * hidden * (Attribute(request.layer, "in") + hidden));
}

// Each sample of one side with each of the other.
LayerFlops FlopsOfContrastiveLoss(const FlopsRequest& request) {
  const double samples = Rows(request.inputs[0]);
  const double flops = 2 * samples * Elements(request.inputs[0]);
  return {flops, 2 * flops, 0};
}

}  // namespace penstock
