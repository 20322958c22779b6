#ifndef PENSTOCK_MODELS_GRAPH_FLOPS_OF_LAYERS_H_
#define PENSTOCK_MODELS_GRAPH_FLOPS_OF_LAYERS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "models/graph/flops.h"
#include "models/graph/graph.h"

namespace penstock {

// What each layer's products take for one microbatch. Index is the layer. A
// layer that reads nothing but data makes no gradient of it. INVALID_ARGUMENT
// as InferShapes (layer_kinds.h).
absl::StatusOr<std::vector<LayerFlops>> FlopsOfLayers(const Graph& graph);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_FLOPS_OF_LAYERS_H_
