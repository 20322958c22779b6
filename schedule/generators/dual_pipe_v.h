#ifndef PENSTOCK_SCHEDULE_GENERATORS_DUAL_PIPE_V_H_
#define PENSTOCK_SCHEDULE_GENERATORS_DUAL_PIPE_V_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "dual_pipe_v" (DeepSeek-AI, DualPipe, 2025; its V-shaped half by Qi and
// others, 2025): two chunks on each rank in V placement; the steady state is
// pairs of one forward and one backward whose communication hides behind the
// other's work. In flight p + 1/2. Fewer than 2p microbatches: as for 2p,
// without those that are not there.
GeneratorInfo DualPipeVGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_DUAL_PIPE_V_H_
