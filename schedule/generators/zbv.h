#ifndef PENSTOCK_SCHEDULE_GENERATORS_ZBV_H_
#define PENSTOCK_SCHEDULE_GENERATORS_ZBV_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "zbv" (Qi et al., Zero Bubble Pipeline Parallelism, 2023, section 6): two
// chunks on each rank in V placement, so that the loss is on rank 0, with split
// backwards. In flight p, 1F1B's worst, on every rank. Sync bubble, in time,
// (p-1)tF/2 at tF = tI = tW and m >= 2p-1; span bubble none. Fewer
// microbatches: as for 2p-1, without those that are not there.
GeneratorInfo ZbvGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_ZBV_H_
