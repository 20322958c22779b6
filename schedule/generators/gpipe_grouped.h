#ifndef PENSTOCK_SCHEDULE_GENERATORS_GPIPE_GROUPED_H_
#define PENSTOCK_SCHEDULE_GENERATORS_GPIPE_GROUPED_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "gpipe_grouped" (Yang et al., WPipe, 2022, figure 15): GPipe on two groups of
// stages, which is "loop_bfs" with two chunks: all forwards of group 0, of
// group 1, all backwards of group 1, of group 0. Bubble (idle / total)
// (p-1)/(2m+p-1) for m >= p; all m microbatches in flight.
GeneratorInfo GpipeGroupedGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_GPIPE_GROUPED_H_
