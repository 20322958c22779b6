#ifndef PENSTOCK_MODELS_LAYERS_LAYER_FUNCTIONS_H_
#define PENSTOCK_MODELS_LAYERS_LAYER_FUNCTIONS_H_

#include <ATen/core/Tensor.h>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/graph/graph.h"
#include "models/layers/layer.h"

namespace penstock {

// The arguments of one forward pass, checked.
struct LayerCall {
  const LayerSpec& spec;
  absl::Span<const at::Tensor> parameters;
  absl::Span<const at::Tensor> inputs;
  const LayerContext& context;
};

// The function of a kind of models/graph/layer_kinds.h, nullptr if there is
// none. It throws as libtorch does.
LayerFunction FindLayerFunction(absl::string_view kind);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_LAYER_FUNCTIONS_H_
