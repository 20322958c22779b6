#ifndef PENSTOCK_SCHEDULE_SIMULATOR_MEMORY_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_MEMORY_H_

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

struct MemoryPoint {
  double time = 0;
  // From here on: microbatches in flight, in full stages (an F of one of v
  // chunks adds 1/v), from the start of F to the end of W or B.
  double in_flight = 0;
  // What the rank keeps for them (StageCost says when), without `StaticBytes`.
  int64_t bytes = 0;
};

// The rank's memory through a run: a point for every change, by time.
// `costs` null: bytes are 0. Requires: `timeline` is of `schedule`. Pure.
std::vector<MemoryPoint> MemoryOverTime(const Schedule& schedule,
                                        const Timeline& timeline, RankId rank,
                                        const CostModel* costs);

// What the rank holds all the time: weights, gradients and optimizer state of
// its stages, in as many versions as the schedule keeps.
int64_t StaticBytes(const Schedule& schedule, const CostModel& costs,
                    RankId rank);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_MEMORY_H_
