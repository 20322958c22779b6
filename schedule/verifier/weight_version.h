#ifndef PENSTOCK_SCHEDULE_VERIFIER_WEIGHT_VERSION_H_
#define PENSTOCK_SCHEDULE_VERIFIER_WEIGHT_VERSION_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "weight_version": R and the backward of a stage and microbatch name the
// version that its F names, and an action reads a version that is there: made
// by an update before it in the list (or 0), and one of the newest delay + 1 of
// its stage's rule, which is as many as the stage keeps: an update takes the
// place of the oldest. A lowered continuous schedule names every version; a
// flush, whose stages have one, none but 0 (and 1 at U and G). Adds what it
// finds to `all`.
void CheckWeightVersion(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_WEIGHT_VERSION_H_
