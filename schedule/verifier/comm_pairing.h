#ifndef PENSTOCK_SCHEDULE_VERIFIER_COMM_PAIRING_H_
#define PENSTOCK_SCHEDULE_VERIFIER_COMM_PAIRING_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "comm_pairing": every activation edge carries every microbatch that its
// two stages run on different ranks once forward and once backward (whole or in
// two halves); a tied weight goes once a step to every rank that holds one of
// its stages and not the other; every send has its receive, and both ends of a
// directed channel have the same order. With one rank's list only: that end's
// sends and receives. Not lowered: nothing.
// Adds what it finds to `all`.
void CheckCommPairing(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_COMM_PAIRING_H_
