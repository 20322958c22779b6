#ifndef PENSTOCK_CLIENT_SCHEDULES_TRACED_STEPS_H_
#define PENSTOCK_CLIENT_SCHEDULES_TRACED_STEPS_H_

#include <cstdint>
#include <string>

#include "proto/coordinator_service.pb.h"

namespace penstock {

// For tests: what a coordinator would answer for a step of a job of two stages
// on two ranks, 1F1B with four microbatches or another schedule, whose actions
// took `milliseconds` for a forward and twice that for a backward. `last` steps
// were traced.
GetTimelineResponse TracedStep(int64_t step, double milliseconds,
                               int64_t last = 3,
                               const std::string& generator = "one_f_one_b");

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SCHEDULES_TRACED_STEPS_H_
