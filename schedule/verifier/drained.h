#ifndef PENSTOCK_SCHEDULE_VERIFIER_DRAINED_H_
#define PENSTOCK_SCHEDULE_VERIFIER_DRAINED_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "drained": where a rank flushes (N, and the end of its list) no
// microbatch is in flight on it: what ran forward before has run its whole
// backward before too.
// Adds what it finds to `all`.
void CheckDrained(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_DRAINED_H_
