#ifndef PENSTOCK_SCHEDULE_VERIFIER_COMM_PAIRING_H_
#define PENSTOCK_SCHEDULE_VERIFIER_COMM_PAIRING_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "comm_pairing": every edge between two ranks carries every microbatch
// once forward and once backward (a tied weight: the step once), every send has
// its receive, and both ends of a directed channel have the same order. With
// one rank's list only: that end's sends and receives.
// Adds what it finds to `all`.
void CheckCommPairing(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_COMM_PAIRING_H_
