#ifndef PENSTOCK_SCHEDULE_GENERATORS_REPLICATE_H_
#define PENSTOCK_SCHEDULE_GENERATORS_REPLICATE_H_

#include <vector>

#include "schedule/generators/generator.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Schedules in which several ranks hold what one rank of `base` holds and share
// its microbatches. Each runs its own in the order of `base`, so that what is
// sound in `base` stays so. An F of two microbatches becomes two F; a pair X&Y
// of which one part is another replica's is none.
//
// All are pure and linear in `base`, which holds compute actions only and
// flushes.

// `width` whole pipelines, each of which runs `base`: microbatch j of it is
// microbatch j * width + k of the k-th pipeline; those that there are not, of
// `num_microbatches`, are left out. A stage's ranks stand in the order of the
// pipelines, whatever the order of ranks is.
// Requires: width >= 1; base is of ceil(num_microbatches / width).
Schedule ReplicatePipeline(const Schedule& base, int width,
                           int num_microbatches, RankOrder order);

// `counts[r]` ranks instead of rank r of `base`, side by side: microbatch b is
// run by the replica b mod counts[r].
// Requires: a count of at least 1 for each rank.
Schedule ReplicateRanks(const Schedule& base, const std::vector<int>& counts);

// The lists of `width` ranks side by side instead of each of `base`: microbatch
// j of it is microbatch j * width + k of the k-th of them.
RankLists ReplicateLists(const RankLists& base, int width);

// Numbers the ranks of `width` equal pipelines anew, which stand side by side
// (rank r * width + k is rank r of the k-th): one whole pipeline after the
// other. Of any update policy.
Schedule PipelineMajor(const Schedule& side_by_side, int width);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_REPLICATE_H_
