#ifndef PENSTOCK_SCHEDULE_GENERATORS_LOOP_BFS_H_
#define PENSTOCK_SCHEDULE_GENERATORS_LOOP_BFS_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "loop_bfs" (Lamy-Poirier, Breadth-First Pipeline Parallelism, 2023, section
// 4): v chunks on each rank in loop placement; every chunk runs all m forwards
// before the next, and backwards likewise from the last chunk. Bubble (idle /
// total) (p-1)/(vm+p-1) for m >= p; all m microbatches in flight.
GeneratorInfo LoopBfsGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_LOOP_BFS_H_
