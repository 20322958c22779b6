#ifndef PENSTOCK_SCHEDULE_IR_CHAIN_H_
#define PENSTOCK_SCHEDULE_IR_CHAIN_H_

#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

// The edges of a model whose stages form a chain: an activation "h<s>" from
// each stage s to the next. What a schedule is drawn with when there is no
// model. Empty for fewer than two stages.
std::vector<Edge> ChainEdges(int num_stages);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_CHAIN_H_
