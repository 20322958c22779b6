#ifndef PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_2BW_H_
#define PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_2BW_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "pipedream_2bw": double-buffered weight updates (Narayanan et al.,
// Memory-Efficient Pipeline-Parallel DNN Training, 2021, section 3.1).
// Pipedream's order, one update after every m microbatches, and microbatch b
// reads version max(0, floor(b / m) - 1) at every stage; two versions are kept.
//
// Sound iff m is at least the number of microbatches by which forwards run
// ahead of backwards: p-1 with one replica each. Refuses others and names the
// nearest m.
GeneratorInfo Pipedream2bwGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_2BW_H_
