#ifndef PENSTOCK_SCHEDULE_GENERATORS_CHIMERA_H_
#define PENSTOCK_SCHEDULE_GENERATORS_CHIMERA_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "chimera" (Li and Hoefler, Chimera, 2021, sections 3.1 to 3.5): f pipelines
// down and f up over the same ranks, p even, f a divisor of p/2; each stage on
// 2f ranks, whose gradients are reduced. One unit is p microbatches.
//
// Bubble (idle / total) of one unit (p-2f)/(2fm+p-2f), where tF = tB only. More
// microbatches, as `scale` says: "concat" starts a unit in the end of the one
// before; "doubling" gives every F two microbatches, so that it takes as long
// as a B; "halving" cuts the microbatch in two for the backward, to the same
// end. In flight between p - p/(2f) + 1 and p microbatches; doubling: twice
// that.
GeneratorInfo ChimeraGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_CHIMERA_H_
