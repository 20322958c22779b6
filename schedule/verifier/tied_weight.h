#ifndef PENSTOCK_SCHEDULE_VERIFIER_TIED_WEIGHT_H_
#define PENSTOCK_SCHEDULE_VERIFIER_TIED_WEIGHT_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule `tied_weight`, of continuous schedules that are lowered (of a flush the
// rules order and comm_pairing see to it): for each weight that is tied between
// two ranks, at the owner, RB*@v stands between U@(v-1) and U@v, and SF*@v
// between U@v and the next; at the user, SB*@v stands between the last backward
// for the update (or its G) and U@v, and RF*@v before what reads version v and
// behind what reads the version whose place it takes; all versions have come at
// the end. Each version in its turn, from 0, which every rank has at first, and
// both stages of one version rule. A send that is missing leaves a receive
// unpaired (comm_pairing).
void CheckTiedWeight(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_TIED_WEIGHT_H_
