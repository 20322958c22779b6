#ifndef PENSTOCK_SCHEDULE_VERIFIER_MEMORY_PEAK_H_
#define PENSTOCK_SCHEDULE_VERIFIER_MEMORY_PEAK_H_

#include <cstdint>
#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

// What a stage takes on each rank that holds it, in bytes.
struct StageBytes {
  // Gradients, optimizer state, buffers: all that is there once.
  int64_t state = 0;
  // Weights, once for each version that the schedule keeps.
  int64_t weights = 0;
  // What one microbatch's forward saves for its backward, its input with it.
  int64_t activation = 0;
  // The part of that which a forward that is run again (R) saves until then.
  int64_t input = 0;
};

// The most that one rank holds at a time.
struct RankPeak {
  // Microbatches in flight: from F to the end of W or B. A rank that runs
  // several stages of a microbatch (chunks) counts each as its part of one; a
  // half that is done is half gone.
  double in_flight = 0;
  // The action of the rank's list that brings it there; -1 if it has none.
  int in_flight_position = -1;
  int64_t bytes = 0;
  // -1 if what is always there is the most.
  int bytes_position = -1;
};

// By rank. `sizes` by stage; those left out are 0. A continuous schedule is run
// long enough to show its steady state (periods.h), and positions are in that
// run. Takes any schedule that the verifier calls sound; of an unsound one it
// counts what is there, and gives nothing if that cannot be unrolled. Pure;
// linear.
std::vector<RankPeak> PeakMemory(const Schedule& schedule,
                                 const std::vector<StageBytes>& sizes = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_MEMORY_PEAK_H_
