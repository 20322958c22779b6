#ifndef PENSTOCK_SCHEDULE_VERIFIER_ORDER_H_
#define PENSTOCK_SCHEDULE_VERIFIER_ORDER_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "order", within each list: a backward after its F, W after its I, R
// between F and backward; a stage after the stages of the same rank that feed
// it (and the reverse in backward), half by half where a backward is cut; a
// send after what makes its tensor, a receive before what takes it. Of an
// overlapped pair X&Y: only X's sends and receives stand between the two, and
// Y takes nothing that X makes.
//
// Of a flush: N after every backward, G and a tied weight's RB*; U after N; G
// after its stage's last backward; SB* of a tied weight after its stage's last
// backward (and G, if the stage is on several ranks), RB* after its stage's G,
// SF* and RF* after its stage's U.
// Adds what it finds to `all`.
void CheckOrder(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_ORDER_H_
