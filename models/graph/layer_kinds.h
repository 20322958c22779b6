#ifndef PENSTOCK_MODELS_GRAPH_LAYER_KINDS_H_
#define PENSTOCK_MODELS_GRAPH_LAYER_KINDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/graph/graph.h"

namespace penstock {

// What can be said of a layer without running it. The kinds, their attributes
// and their parameters are the rows of models/graph/kind_table.cc:
//
//   token_embedding   tokens [b,s] -> [b,s,hidden]: token + learned position
//                     embedding, dropout
//   window_embedding  tokens [b,s] -> [b,s,window*hidden]: the embeddings of
//                     each position's last `window` tokens, zeros before the
//                     first (the input of Bengio et al. 2003)
//   attention         x + dropout(project(causal attention(norm(x))))
//   mlp_block         x + dropout(linear(gelu(linear(norm(x)))))
//   layer_norm, linear (with bias), relu
//   lm_head           [b,s,hidden] -> logits [b,s,vocabulary], no bias; may be
//                     tied to an embedding's token table
//   cross_entropy     logits, labels -> mean loss; the loss
//
// Dropout is on embeddings and residual branches only. Attention probabilities
// have none: libtorch's fused attention would draw it from a generator that
// is global state, and the same numbers could not be drawn at another cut.

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

// Tokens and labels must be below this: the smallest "vocabulary" of the
// graph's layers. 0 when no layer has
// one.
int64_t VocabularyOf(const Graph& graph);

// A parameter used by a layer other than its owner.
struct TiedUse {
  std::string owner_parameter;
  int owner_layer = 0;
  std::string user_parameter;
  int user_layer = 0;
};
// In layer order of the users.
absl::StatusOr<std::vector<TiedUse>> TiedUses(const Graph& graph);

// INVALID_ARGUMENT, naming the layer, unless: names are unique, inputs exist
// and come earlier, every layer but the last is used, tied owners exist in an
// earlier layer with the same shape and initial distribution and are not tied
// themselves, every kind is known, and exactly the last layer is a loss.
absl::Status CheckGraph(const Graph& graph);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_LAYER_KINDS_H_
