#ifndef PENSTOCK_SCHEDULE_VERIFIER_MEMORY_WALK_H_
#define PENSTOCK_SCHEDULE_VERIFIER_MEMORY_WALK_H_

#include <vector>

#include "schedule/verifier/memory_peak.h"
#include "schedule/verifier/subject.h"

namespace penstock {

// The peaks of the ranks whose lists are there, in their order; see
// memory_peak.h.
std::vector<RankPeak> WalkMemory(const Subject& subject,
                                 const std::vector<StageBytes>& sizes);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_MEMORY_WALK_H_
