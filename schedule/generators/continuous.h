#ifndef PENSTOCK_SCHEDULE_GENERATORS_CONTINUOUS_H_
#define PENSTOCK_SCHEDULE_GENERATORS_CONTINUOUS_H_

#include <functional>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Writes out a whole run of a continuous schedule: the compute actions of each
// rank, from the first forward to the last backward of the drain, when the run
// has `periods` periods' worth of microbatches. No versions.
using RunWriter = std::function<RankLists(int periods)>;

// Cuts a run into prologue, period and epilogue. `outline` has everything but
// the lists: name, microbatches of a period, policy, placement, versions.
//
// A rank's period holds the backwards of exactly one period of microbatches,
// the same on every rank, and the forwards between them. Before it, the
// prologue holds as many such periods as it takes for no version to be held at
// 0 by the rule's max(0, ...), so that versions may be shifted along; and for
// stages on several ranks, whose updates stand before the forwards that read
// them, as it takes for these to be updates and not the initial weights.
// `periods_ahead` says by how many periods forwards run ahead of backwards at
// most; prologue and epilogue together are the shortest run that has that many
// more periods than the prologue's backwards.
//
// The cut is proved before it is returned: the lists of 0, 1 and 2 repetitions
// are those that `run` writes. Pure if `run` is.
//
// Requires: a period is a whole number of updates of every stage.
//   INVALID_ARGUMENT  prologue, period and epilogue would have more than 10^8
//                     actions.
//   INTERNAL          the run does not repeat itself so; says on which rank.
absl::StatusOr<Schedule> CutRun(Schedule outline, int periods_ahead,
                                const RunWriter& run);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_CONTINUOUS_H_
