#ifndef PENSTOCK_SCHEDULE_LOWERING_TIED_WEIGHTS_H_
#define PENSTOCK_SCHEDULE_LOWERING_TIED_WEIGHTS_H_

#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// One message of a tied weight, once a step, as one rank sees it.
struct TiedEnd {
  EdgeId edge;
  StageId stage;  // on this rank
  RankId peer;
};

// What a rank exchanges for tied weights, by edge index.
struct TiedEnds {
  std::vector<TiedEnd> gradients_out;  // SB*, as a user
  std::vector<TiedEnd> gradients_in;   // RB*, as an owner
  std::vector<TiedEnd> weights_out;    // SF*, as an owner
  std::vector<TiedEnd> weights_in;     // RF*, as a user
};

// By rank. A rank that holds owner and user needs no message. Of the others
// every owner gets the gradient from one user, and every user the value from
// one owner: those of several take turns, in the order of the placement. The
// users' gradients are reduced over their ranks before, the owners' values are
// alike.
// Requires: edges between two existing stages that are on existing ranks.
std::vector<TiedEnds> TiedEndsByRank(const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_TIED_WEIGHTS_H_
