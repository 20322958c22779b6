#ifndef PENSTOCK_SCHEDULE_VERIFIER_DEADLOCK_FREE_H_
#define PENSTOCK_SCHEDULE_VERIFIER_DEADLOCK_FREE_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "deadlock_free": every list runs to its end and every send completes
// when the lists run under the semantics of the transport
// (schedule/ir/replay.h) with channels that hold 0 messages and that hold 1,
// receives posted `lookahead` actions ahead. A violation tells the wait cycle.
//
// Neither the capacity nor the lookahead can change whether a list gets stuck:
// sends never block, and a receive at hand is posted, so a message arrives as
// soon as both ends have come to it. They change when sends complete.
// Adds what it finds to `all`.
void CheckDeadlockFree(const Subject& subject, int lookahead,
                       std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_DEADLOCK_FREE_H_
