#ifndef PENSTOCK_SCHEDULE_VERIFIER_DEADLOCK_FREE_H_
#define PENSTOCK_SCHEDULE_VERIFIER_DEADLOCK_FREE_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "deadlock_free": every list runs to its end and every send completes
// when the lists run under the semantics of the transport (list_run.h), with
// channels that hold 0 messages and that hold 1, at any number of receives
// posted ahead. A violation tells the wait cycle.
//
// One run proves it for all of these: sends never block and a receive at hand
// is posted, so a message arrives as soon as both ends have come to it,
// whatever the capacity and however early receives are posted. These change
// when a send completes, not whether: once all lists have ended, those that a
// receive or a place in the channel was left for have.
// Adds what it finds to `all`.
void CheckDeadlockFree(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_DEADLOCK_FREE_H_
