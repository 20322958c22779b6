#ifndef PENSTOCK_MODELS_ZOO_FAMILIES_H_
#define PENSTOCK_MODELS_ZOO_FAMILIES_H_

#include <cstdint>
#include <map>
#include <string>

#include "models/graph/graph.h"

namespace penstock {

// The numbers of a preset with the request's overrides; "tied" is 0 or 1.
// Those that say how many layers or pixels there are, are positive integers.
using Numbers = std::map<std::string, double>;

struct FamilyArguments {
  const Numbers& numbers;
  int64_t microbatch_size = 0;
  int64_t sequence_length = 0;
};

// Each adds inputs and layers, loss included, to an empty graph. Whether the
// numbers fit together is left to CheckGraph.

// GPT-2's shape (Radford et al. 2019): pre-norm blocks, learned positions.
void AddGpt(const FamilyArguments& arguments, Graph* graph);
// Llama's (Touvron et al. 2023): RMS norm, rotary positions, grouped queries,
// gated linear units.
void AddLlama(const FamilyArguments& arguments, Graph* graph);
// A feed-forward language model (Bengio et al. 2003): each position sees its
// last `window` tokens.
void AddMlp(const FamilyArguments& arguments, Graph* graph);

// Residual blocks in three groups, each of half the size and twice the
// channels of the one before (He et al. 2015, section 4.2), with batch norm.
void AddCnn(const FamilyArguments& arguments, Graph* graph);
// Says of each pixel what it belongs to: `levels` times down and up again, each
// level's output taken again on the way up (Ronneberger et al. 2015).
void AddUnet(const FamilyArguments& arguments, Graph* graph);
// Blocks of four parallel branches (Szegedy et al. 2015, figure 5): 1x1, two
// 3x3 after a 1x1, 3x3 after a 1x1, and 1x1 after a pool.
void AddInception(const FamilyArguments& arguments, Graph* graph);

// A tower for images and one for captions that meet in a contrastive loss
// (CLIP, Radford et al. 2021).
void AddTwoTower(const FamilyArguments& arguments, Graph* graph);
// LSTM layers with residual connections on both sides, the decoder attending
// to what the encoder made (GNMT, Wu et al. 2016).
void AddSeq2Seq(const FamilyArguments& arguments, Graph* graph);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_ZOO_FAMILIES_H_
