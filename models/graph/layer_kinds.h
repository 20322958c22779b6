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
//   cross_entropy     logits, labels -> mean loss; a loss. The classes are the
//                     last dimension, of images [b,classes,h,w] the second;
//                     labels of kIgnoredLabel do not count
//
//   rms_norm          Zhang and Sennrich 2019
//   rotary_attention  x + project(causal attention(rms_norm(x))), queries and
//                     keys turned by their positions (Su et al. 2021), each of
//                     `key_heads` heads of keys and values shared by several
//                     of queries (Ainslie et al. 2023); no biases
//   swiglu_block      x + down(silu(gate(n)) * up(n)), n = rms_norm(x) (Shazeer
//                     2020); no biases
//
//   convolution       [b,in,h,w] -> [b,out,h',w']; square kernel, groups
//   batch_norm        over the microbatch, of each channel; keeps statistics
//   max_pool, average_pool, global_average_pool ([b,c,h,w] -> [b,c])
//   upsample          nearest neighbour, by `factor`
//   flatten           [b,...] -> [b,n]
//   copy              its input, for a third use of it (models/graph/graph.h)
//   add, concat       two inputs or more; concat along the channels of images,
//                     else along the last dimension
//
//   embedding         tokens [b,s] -> [b,s,hidden]
//   lstm              [b,s,in] -> hidden states [b,s,hidden], from zeros on
//                     (Hochreiter and Schmidhuber 1997, with forget gates)
//   cross_attention   x, memory, source -> x + project(attention of x to
//                     memory), where the source is not kPaddingToken
//   sequence_mean     [b,s,h] -> [b,h]
//   l2_normalize      of the last dimension
//   contrastive_loss  [b,h] twice -> symmetric cross-entropy of telling each
//                     sample's pair from the others of its microbatch (CLIP,
//                     Radford et al. 2021), with a learned scale; a loss
//
// Dropout is on embeddings and residual branches only. Attention probabilities
// have none: libtorch's fused attention would draw it from a generator that
// is global state, and the same numbers could not be drawn at another cut.

// The layer's parameters in their fixed order. INVALID_ARGUMENT for an unknown
// kind or a missing or impossible attribute, naming the layer.
absl::StatusOr<std::vector<ParameterSpec>> ParametersOf(const LayerSpec& layer);

// What the layer keeps beside its parameters, that no gradient changes: a batch
// norm's running mean and variance, with their first values. Errors as
// ParametersOf.
absl::StatusOr<std::vector<ParameterSpec>> StatisticsOf(const LayerSpec& layer);

// Whether a split backward leaves the gradients of the layer's weights for W.
// Where it does not, I makes them, and W only adds them. False for an unknown
// kind.
bool SplitsBackward(const LayerSpec& layer);

// The output of every layer, by name (and the graph's inputs). INVALID_ARGUMENT
// where a layer's inputs do not fit it; names the layer, and its inputs with
// their shapes.
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

// INVALID_ARGUMENT, naming the layers, unless: names are unique, inputs exist
// and come earlier (a cycle is shown as such), every layer but the last is
// used, by at most two inputs, tied owners exist in an earlier layer with the
// same shape and initial distribution and are not tied themselves, every kind
// is known, and exactly the last layer is a loss.
absl::Status CheckGraph(const Graph& graph);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_LAYER_KINDS_H_
