#ifndef PENSTOCK_SCHEDULE_VERIFIER_WEIGHT_VERSION_H_
#define PENSTOCK_SCHEDULE_VERIFIER_WEIGHT_VERSION_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "weight_version": R and the backward of a stage and microbatch name the
// version that its F names; an action reads a version that an update before it
// in the list made (or 0); and of no stage more versions are needed at once
// than its rule's delay + 1: the newest, and those that something later in the
// list reads. A lowered continuous schedule names every version; a flush, whose
// stages have one, none but 0 (and 1 at U and G).
// Adds what it finds to `all`.
void CheckWeightVersion(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_WEIGHT_VERSION_H_
