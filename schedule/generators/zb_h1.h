#ifndef PENSTOCK_SCHEDULE_GENERATORS_ZB_H1_H_
#define PENSTOCK_SCHEDULE_GENERATORS_ZB_H1_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "zb_h1" (Qi et al., Zero Bubble Pipeline Parallelism, 2023, section 2.1):
// 1F1B with the backward in two: I goes on to the stage before, W waits to fill
// what would be idle. Warm-up p-1-r F; (F, I) pairs with one W after each but
// the first r; (I, W); the W left.
//
// In flight p on every rank (1F1B: p-r). Sync bubble, in time,
// (p-1)(tF+tI-tW) for tW <= tI and m >= p.
GeneratorInfo ZbH1Generator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_ZB_H1_H_
