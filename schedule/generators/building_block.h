#ifndef PENSTOCK_SCHEDULE_GENERATORS_BUILDING_BLOCK_H_
#define PENSTOCK_SCHEDULE_GENERATORS_BUILDING_BLOCK_H_

#include <array>
#include <cstdint>
#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

// The way of one microbatch through a pipeline of two chunks on each rank in V
// placement, which every microbatch takes six slots after the one before it
// (Qi et al., Pipeline Parallelism with Controllable Memory, 2024, section 3).
// Actions are one slot long.
struct BuildingBlock {
  // Index is the rank: the slots of microbatch 0's F of chunk 0, F of chunk 1,
  // I of chunk 1, I of chunk 0. No two of a rank are equal modulo 6.
  std::vector<std::array<int64_t, 4>> slots;
  // Chunks in flight, from F to W, that no rank may exceed.
  int max_in_flight = 0;
  // Whether waits are filled in the whole step, or on each rank only until its
  // first I of chunk 0.
  bool fills_steady_state = false;
};

// The lists of `num_microbatches` such blocks, one behind another, each W in
// the first slot of its rank that is free.
RankLists RepeatBlock(const BuildingBlock& block, int num_microbatches);

// Reorders these lists so that no rank waits where it could work. The lists are
// run in slots; a rank takes the head of its list if it is ready, and
//   * after its last F, any ready I before it;
//   * where it would wait (see `fills_steady_state`), the first ready F or I
//     further on, or else the first ready W.
// An F is taken early only if the memory of the actions that it passes allows
// it, so no rank ever holds more than in the lists as they were or, if that is
// more, `max_in_flight`; and all lists run to their end, because what they were
// is still a way to run what is left. Not slower than they were in any case
// that the tests try. Requires: `lists` are `RepeatBlock`'s.
RankLists Squeeze(const BuildingBlock& block, int num_microbatches,
                  const RankLists& lists);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_BUILDING_BLOCK_H_
