#ifndef PENSTOCK_SCHEDULE_VERIFIER_LIST_RUN_H_
#define PENSTOCK_SCHEDULE_VERIFIER_LIST_RUN_H_

#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/verifier/subject.h"

namespace penstock {

// Why a rank's list stopped before its end.
struct StuckRank {
  RankId rank;
  // Of the action that cannot begin.
  int position = 0;
  // The rank that it waits for; may be `rank` itself, or -1.
  RankId on;
  // What that rank would have to do: "1SB0[h0>r0]".
  std::string what;
  // Whether that still stands in the other rank's list.
  bool may_come = false;
};

struct ListRunResult {
  // By rank; empty if every list ran to its end.
  std::vector<StuckRank> stuck;
  // Index is the capacity of a channel (0 or 1 messages): sends, as rank and
  // position, that no receive ever completes.
  std::vector<std::pair<RankId, int>> incomplete[2];
};

// Runs all lists, in no particular time, under the semantics of the transport:
// a rank runs its list in order; SF and SB post and never block; RF and RB
// block until their message has arrived, channels being first in, first out; N
// waits for all ranks; G starts and never blocks; of a stage on several ranks
// SB* (of a tied weight) and, in a continuous schedule, U wait until every one
// of them has come to its G.
// Lists that hold no communication (before lowering) run as if it were free.
//
// Linear in the actions. Total: what names something that does not exist has no
// effect.
ListRunResult RunLists(const Subject& subject);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_LIST_RUN_H_
