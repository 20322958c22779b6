#ifndef PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_H_
#define PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "pipedream": asynchronous 1F1B with weight stashing (Narayanan et al.,
// PipeDream, 2019, sections 3.2 and 3.3). No flush: stage s updates after every
// round of R_s microbatches, its warm-up is w_s rounds (round_robin.h), and
// microbatch b reads version max(0, floor(b / R_s) - w_s) there, of which
// w_s + 1 are kept. With one replica each: b - (p-1-s), p - s versions.
//
// A replica's forward waits until the round that its version absorbs is reduced
// over all replicas, which can cost throughput (2-1-1 with balanced work: 4.5
// units a microbatch instead of 3). extra_round=yes lets replicated stages read
// one version older, and keep one more, so that they need not wait.
//
// The number of microbatches is a period's length only, a multiple of every
// R_s.
GeneratorInfo PipedreamGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_H_
