#ifndef PENSTOCK_SCHEDULE_GENERATORS_ZB_H2_H_
#define PENSTOCK_SCHEDULE_GENERATORS_ZB_H2_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "zb_h2" (Qi et al., Zero Bubble Pipeline Parallelism, 2023, section 2.2): as
// zb_h1 with a longer warm-up, min(2(p-r)-1, m) F; then each I is followed by
// one W if more than 2r wait, and one F; the W left.
//
// In flight 2p-1. For m >= 2p-1: span bubble, in time, (p-1)(tF+tI-2tW) where
// 2tW <= tF+tI (none at equal times); sync bubble (p-1)tF.
GeneratorInfo ZbH2Generator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_ZB_H2_H_
