#ifndef PENSTOCK_MODELS_GRAPH_LAYER_KINDS_H_
#define PENSTOCK_MODELS_GRAPH_LAYER_KINDS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/graph/graph.h"

namespace penstock {

// What can be said of a layer without running it.

// The layer's parameters in their fixed order. INVALID_ARGUMENT for an unknown
// kind or a missing or impossible attribute, naming the layer.
absl::StatusOr<std::vector<ParameterSpec>> ParametersOf(const LayerSpec& layer);

// The output of every layer, by name (and the graph's inputs). INVALID_ARGUMENT
// where a layer's inputs do not fit it.
absl::StatusOr<std::map<std::string, TensorShape>> InferShapes(
    const Graph& graph);

// Elements of the parameters that each layer owns (tied ones count at their
// owner). Index is the layer.
absl::StatusOr<std::vector<int64_t>> ParameterCounts(const Graph& graph);

// A parameter used by a layer other than its owner.
struct TiedUse {
  std::string owner_parameter;
  int owner_layer = 0;
  std::string user_parameter;
  int user_layer = 0;
};
// In layer order of the users.
absl::StatusOr<std::vector<TiedUse>> TiedUses(const Graph& graph);

// Names are unique, inputs exist and come earlier, tied owners exist with the
// same shape, every kind is known, exactly the last layer is a loss.
absl::Status CheckGraph(const Graph& graph);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_LAYER_KINDS_H_
