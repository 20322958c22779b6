#ifndef PENSTOCK_SCHEDULE_GENERATORS_VERSION_WALK_H_
#define PENSTOCK_SCHEDULE_GENERATORS_VERSION_WALK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

// For tests: what a run does with weight versions, counted from the run itself
// and not from the rules' closed forms. A stage's update k makes version k + 1
// from the backwards of its microbatches k m to (k + 1) m - 1.

namespace penstock {

// Reads `stage`'s rule for the microbatch.
int VersionOf(const Schedule& schedule, StageId stage, MicrobatchId microbatch);

// The most versions of `stage` that `actions`, a rank's list of a run, hold at
// once: the newest, and every one that a later F or backward reads. Updates
// come right after the rank's last backward of their microbatches; a version
// that nobody reads any more is gone before the next is published.
int MaxVersionsAlive(const Schedule& schedule, StageId stage,
                     const std::vector<Action>& actions);

// When the last action of the run ends, if an F waits for the F before it in
// the chain of stages and for the update that makes its version on all ranks of
// its stage, and a backward for the backward of the next stage. Updates and
// messages take no time. nullopt if some list cannot go on.
std::optional<int64_t> RunTime(
    const Schedule& schedule, const RankLists& run,
    const std::function<int64_t(const Action&)>& cost);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_VERSION_WALK_H_
