#ifndef PENSTOCK_SCHEDULE_VERIFIER_COMPLETE_H_
#define PENSTOCK_SCHEDULE_VERIFIER_COMPLETE_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "complete": every stage runs every microbatch forward once and backward
// once (one B, or one I and one W; each whole or in two halves), all of it on
// one of its ranks; at most one R. Not lowered: compute actions only. Lowered:
// every rank of a flush has one N, every stage one U on each of its ranks, and
// one G exactly if those are several; a continuous schedule has no N (what its
// updates are is the rule "update_complete").
// Adds what it finds to `all`.
void CheckComplete(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_COMPLETE_H_
