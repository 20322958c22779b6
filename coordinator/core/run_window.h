#ifndef PENSTOCK_COORDINATOR_CORE_RUN_WINDOW_H_
#define PENSTOCK_COORDINATOR_CORE_RUN_WINDOW_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/hang_report.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// The stretch of a continuous run that its ranks were in, written out.
struct RunWindow {
  // On each rank some actions one after the other, with the run's microbatches
  // and versions; no period, no epilogue.
  Schedule schedule;
  // Index is the rank: the place in the run of the first of them.
  std::vector<int64_t> begin;
  // What is known of each rank, with places that count in these lists. Those
  // that say nothing have finished no step of them.
  std::vector<RankEvidence> ranks;
};

// `ranks` is what the ranks of a job of so many steps say, whose places count
// through the run, or where it is drained after every so many steps, from the
// latest drain (MissingAction). Those that are beyond a drain that others have
// not come to have done all that the window holds. The stretch also has what is around these
// places, as far as what one rank waits for may stand at another. Pure; as
// large as some periods, however long the run.
//   INVALID_ARGUMENT  as PeriodsOfRun.
absl::StatusOr<RunWindow> WindowOfRun(const Schedule& schedule, int64_t steps,
                                      std::vector<RankEvidence> ranks,
                                      int64_t drain_every = 0);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_RUN_WINDOW_H_
