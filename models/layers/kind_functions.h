#ifndef PENSTOCK_MODELS_LAYERS_KIND_FUNCTIONS_H_
#define PENSTOCK_MODELS_LAYERS_KIND_FUNCTIONS_H_

#include "absl/types/span.h"
#include "models/layers/layer_call.h"

namespace penstock {

// The computation of one kind of models/graph/layer_kinds.h.
struct FunctionRow {
  const char* kind;
  LayerFunction function;
};

// Parts of the table of computations, as models/graph/kind_rows.h.
absl::Span<const FunctionRow> LlamaFunctions();
absl::Span<const FunctionRow> VisionFunctions();
absl::Span<const FunctionRow> SequenceFunctions();

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_KIND_FUNCTIONS_H_
