#ifndef PENSTOCK_SCHEDULE_GENERATORS_ONE_F_ONE_B_H_
#define PENSTOCK_SCHEDULE_GENERATORS_ONE_F_ONE_B_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "one_f_one_b": 1F1B with a flush (Fan et al., DAPPLE, 2021, section 3;
// PipeDream-Flush in Narayanan et al., Memory-Efficient Pipeline-Parallel DNN
// Training, 2021, section 3.2). Rank r runs K_r forwards before its first
// backward, then backward and forward in turn, then the backwards left.
//
// K_r = min(p-r, m) with warmup=pa (DAPPLE's PA); min(2(p-r)-1, m) with
// warmup=pb (PB), which hides slow links; or a list by rank, which must not
// rise, such as warmup=4,4,2,1. Bubble (idle / total)
// (p-1)/(m+p-1) when links are free; in flight K_r.
GeneratorInfo OneFOneBGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_ONE_F_ONE_B_H_
