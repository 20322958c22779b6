#ifndef PENSTOCK_SCHEDULE_GENERATORS_INTERLEAVED_H_
#define PENSTOCK_SCHEDULE_GENERATORS_INTERLEAVED_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "interleaved" (Narayanan et al., Megatron-LM, 2021, section 2.2.2): each rank
// runs v chunks in loop placement, microbatches in groups of g (default p), the
// chunks of a group in turn. Warm-up min(2(p-r-1) + (v-1)g, mv) forwards, then
// (F, B) pairs, then the backwards left.
//
// Bubble (idle / total) (p-1)/(vm+p-1) when p divides m; at most
// 2(p-1)+(v-1)g+1 chunks in flight on rank 0. g that does not divide m: as for
// the next multiple, without the microbatches that are not there.
GeneratorInfo InterleavedGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_INTERLEAVED_H_
