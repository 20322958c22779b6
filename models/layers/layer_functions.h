#ifndef PENSTOCK_MODELS_LAYERS_LAYER_FUNCTIONS_H_
#define PENSTOCK_MODELS_LAYERS_LAYER_FUNCTIONS_H_

#include "absl/strings/string_view.h"
#include "models/layers/layer_call.h"

namespace penstock {

// The function of a kind of models/graph/layer_kinds.h, nullptr if there is
// none. It throws as libtorch does.
LayerFunction FindLayerFunction(absl::string_view kind);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_LAYER_FUNCTIONS_H_
