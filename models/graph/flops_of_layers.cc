#include "models/graph/flops_of_layers.h"

#include <string>

#include "base/status_macros.h"
#include "models/graph/kind_table.h"
#include "models/graph/layer_kinds.h"

namespace penstock {

absl::StatusOr<std::vector<LayerFlops>> FlopsOfLayers(const Graph& graph) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto shapes, InferShapes(graph));
  std::vector<LayerFlops> all;
  for (const LayerSpec& layer : graph.layers) {
    LayerFlops& flops = all.emplace_back();
    const KindRow* const kind = FindKind(layer.kind);
    if (kind->flops == nullptr) continue;
    std::vector<TensorShape> inputs;
    bool reads_data_alone = true;
    for (const std::string& input : layer.inputs) {
      inputs.push_back(shapes.at(input));
      if (graph.inputs.count(input) == 0) reads_data_alone = false;
    }
    flops = kind->flops({layer, inputs, shapes.at(layer.name)});
    if (reads_data_alone) flops.input_gradient = 0;
  }
  return all;
}

}  // namespace penstock
