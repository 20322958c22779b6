#include "models/graph/kept_by_layers.h"

#include <string>

#include "base/status_macros.h"
#include "models/graph/kind_table.h"
#include "models/graph/layer_kinds.h"

namespace penstock {

absl::StatusOr<std::vector<KeptTensors>> KeptByLayers(const Graph& graph,
                                                      int activation_bytes) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto shapes, InferShapes(graph));
  std::vector<KeptTensors> kept;
  for (const LayerSpec& layer : graph.layers) {
    std::vector<TensorShape> inputs;
    for (const std::string& input : layer.inputs) {
      inputs.push_back(shapes.at(input));
    }
    const KindRow* const kind = FindKind(layer.kind);
    kept.push_back(kind->kept == nullptr
                       ? KeptTensors()
                       : kind->kept({layer, inputs, shapes.at(layer.name),
                                     activation_bytes}));
  }
  return kept;
}

}  // namespace penstock
