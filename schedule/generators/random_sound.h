#ifndef PENSTOCK_SCHEDULE_GENERATORS_RANDOM_SOUND_H_
#define PENSTOCK_SCHEDULE_GENERATORS_RANDOM_SOUND_H_

#include <cstdint>

#include "schedule/ir/schedule.h"

namespace penstock {

struct RandomBounds {
  int max_ranks = 6;
  int max_stages = 10;
  int max_microbatches = 8;
  // Stages in a chain, each on one rank.
  bool only_chains = false;
};

// A sound flush schedule that is a function of `seed` alone, for tests of all
// that takes schedules: random counts within the bounds, a random DAG of stages
// (a chain, skips, branches) on random ranks, some stages on
// several; backwards fused or in two, some microbatches recomputed; every list
// in an order in which the work could have been done.
//
// All stages take the microbatches in one order forward and in one order
// backward, both random, because each channel between two ranks is first in,
// first out. So the weight gradients are summed as listed.
// Requires: bounds of at least 1.
Schedule RandomSound(uint64_t seed, const RandomBounds& bounds = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_RANDOM_SOUND_H_
