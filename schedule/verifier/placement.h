#ifndef PENSTOCK_SCHEDULE_VERIFIER_PLACEMENT_H_
#define PENSTOCK_SCHEDULE_VERIFIER_PLACEMENT_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "placement": every number in the schedule names something that exists.
// Stages are on at least one rank, and on each at most once; an action's stage
// is one of its rank's; a communication is at the right end of its edge, its
// peer holds the other end, and it is once a step exactly on tied weights.
// Adds what it finds to `all`.
void CheckPlacement(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_PLACEMENT_H_
