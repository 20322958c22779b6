#ifndef PENSTOCK_MODELS_GRAPH_KIND_ROWS_H_
#define PENSTOCK_MODELS_GRAPH_KIND_ROWS_H_

#include <vector>

#include "models/graph/kind_table.h"

namespace penstock {

// Parts of the table of kinds, in the order in which it is shown.

// Of the blocks of Llama (Touvron et al. 2023).
std::vector<KindRow> LlamaKinds();

// Of images [batch, channels, height, width], and what joins branches.
std::vector<KindRow> VisionKinds();

// Of sequences, beyond a decoder's blocks, and of pairs.
std::vector<KindRow> SequenceKinds();

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_KIND_ROWS_H_
