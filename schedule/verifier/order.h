#ifndef PENSTOCK_SCHEDULE_VERIFIER_ORDER_H_
#define PENSTOCK_SCHEDULE_VERIFIER_ORDER_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "order", within each list: a backward after its F, W after its I, R
// between F and backward; a stage after the stages of the same rank that feed
// it (and the reverse in backward); a send after what makes its tensor, a
// receive before what takes it; N after every backward and a tied weight's
// RB*; U after N; SB* of a tied weight after its stage's last backward, SF*
// and RF* after its stage's U; G between its stage's last backward and N.
// Adds what it finds to `all`.
void CheckOrder(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_ORDER_H_
