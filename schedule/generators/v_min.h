#ifndef PENSTOCK_SCHEDULE_GENERATORS_V_MIN_H_
#define PENSTOCK_SCHEDULE_GENERATORS_V_MIN_H_

#include "schedule/generators/building_block.h"
#include "schedule/generators/generator.h"

namespace penstock {

// "v_min" (Qi et al., Pipeline Parallelism with Controllable Memory, 2024,
// section 4): two chunks on each rank in V placement, split backwards, and at
// most floor((p+4)/3) microbatches in flight, a third of 1F1B's worst: the
// least that keeps all ranks busy at equal times. The order is that of a
// building block, squeezed (building_block.h).
GeneratorInfo VMinGenerator();

// The block, for p ranks. For p = 2 modulo 3, the bound on memory leaves four
// slots that the paper's block does not use; here they stand between the last
// forward and the first backward.
BuildingBlock VMinBlock(int num_ranks);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_V_MIN_H_
