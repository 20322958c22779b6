#ifndef PENSTOCK_SCHEDULE_GENERATORS_GPIPE_H_
#define PENSTOCK_SCHEDULE_GENERATORS_GPIPE_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "gpipe" (Huang et al., GPipe, 2019, section 2.3): all forwards, then all
// backwards, in the same order (order=fifo) or the reverse (order=lifo); the
// makespan is the same. Bubble (idle / total) (p-1)/(m+p-1); in flight m.
GeneratorInfo GpipeGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_GPIPE_H_
