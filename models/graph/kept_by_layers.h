#ifndef PENSTOCK_MODELS_GRAPH_KEPT_BY_LAYERS_H_
#define PENSTOCK_MODELS_GRAPH_KEPT_BY_LAYERS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "models/graph/graph.h"
#include "models/graph/kept_tensors.h"

namespace penstock {

// What each layer keeps of one microbatch for its backward, where a number of
// an activation has `activation_bytes`. Index is the layer. INVALID_ARGUMENT as
// InferShapes (layer_kinds.h).
absl::StatusOr<std::vector<KeptTensors>> KeptByLayers(const Graph& graph,
                                                      int activation_bytes);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_KEPT_BY_LAYERS_H_
