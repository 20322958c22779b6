#ifndef PENSTOCK_SCHEDULE_GENERATORS_WPIPE_H_
#define PENSTOCK_SCHEDULE_GENERATORS_WPIPE_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "wpipe" (Yang et al., Group-based Interleaved Pipeline Parallelism for
// Large-scale DNN Training, 2022, section 3): v groups of p stages in loop
// placement (group c is chunk c of every rank), continuous, one update of each
// group after every m microbatches. Forwards go group 0 for all m, group 1 for
// all m, ..., group 0 for the next m; backwards from the last group to the
// first. Rank r runs (v-1) m + p-1-r forwards, then forward and backward in
// turn. The published one is v = 2.
//
// Group c reads version max(0, floor(b / m) - L_c), with
// L_c = max(0, ceil((v-1-2c + (p-1)/m) / v)), and keeps L_c + 1: at v = 2 only
// group 0 has a second version. Whole run of n updates: bubble
// (p-1)/(v m n + p-1).
//
// Runs without stalls for m >= p, with a small one each period for m = p-1;
// fewer are refused (they deadlock, or stall and need more versions).
GeneratorInfo WpipeGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_WPIPE_H_
