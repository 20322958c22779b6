#ifndef PENSTOCK_SCHEDULE_GENERATORS_INTERLEAVED_ZB_H_
#define PENSTOCK_SCHEDULE_GENERATORS_INTERLEAVED_ZB_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "interleaved_zb": the chunk orders of "interleaved" with zb_h1's split
// backward (Qi et al., Zero Bubble Pipeline Parallelism, 2023, section 2.1).
// Warm-up min(p-1-r + (v-1)g, mv) F; (F, I) pairs, each W deferred by r pairs;
// (I, W); the W left.
//
// Sync bubble, in time, (p-1)(tF+tI-tW)/v when p divides m (times of all that a
// rank holds). g that does not divide m: as for "interleaved".
GeneratorInfo InterleavedZbGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_INTERLEAVED_ZB_H_
