#ifndef PENSTOCK_SCHEDULE_GENERATORS_NAIVE_H_
#define PENSTOCK_SCHEDULE_GENERATORS_NAIVE_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "naive": inter-layer model parallelism. One microbatch at a time goes through
// all stages, forward and then backward, so one rank works while the others
// wait. Bubble (idle / total) (p-1)/p for any number of microbatches; in
// flight 1.
GeneratorInfo NaiveGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_NAIVE_H_
