#ifndef PENSTOCK_SCHEDULE_GENERATORS_V_HALF_H_
#define PENSTOCK_SCHEDULE_GENERATORS_V_HALF_H_

#include "schedule/generators/building_block.h"
#include "schedule/generators/generator.h"

namespace penstock {

// "v_half" (Qi et al., Pipeline Parallelism with Controllable Memory, 2024,
// section 4): two chunks on each rank in V placement, split backwards, and at
// most floor((p+2)/2) microbatches in flight, half of 1F1B's worst. The order
// is that of a building block, squeezed (building_block.h).
GeneratorInfo VHalfGenerator();

// The block, for p ranks.
BuildingBlock VHalfBlock(int num_ranks);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_V_HALF_H_
