#ifndef PENSTOCK_SCHEDULE_IR_REPLAY_H_
#define PENSTOCK_SCHEDULE_IR_REPLAY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

struct ReplayOptions {
  // Messages that a channel holds before a later send has to wait for its
  // receive to be posted (design: b).
  int capacity = 0;
  // Actions ahead of the one at hand whose receives are posted (design: d).
  int lookahead = 0;
  // How long an action takes, at least 0; unset: 1 each.
  std::function<int64_t(const Action&)> cost;
};

// Why a rank's list stopped before its end.
struct Wait {
  RankId rank;
  // Of the action that cannot begin.
  int position = 0;
  // The rank that it waits for; may be `rank` itself.
  RankId on;
  // What that rank would have to do: "1SB0[h0>r0]".
  std::string what;
  // Whether that still stands in the other rank's list.
  bool may_come = false;
};

struct ReplayResult {
  // When each action of each rank began; -1 if it never did.
  std::vector<std::vector<int64_t>> starts;
  // When the last action ended.
  int64_t makespan = 0;
  // By rank; empty if every list ran to its end.
  std::vector<Wait> waits;
  // Sends that were posted and never completed: rank and position.
  std::vector<std::pair<RankId, int>> incomplete_sends;
};

// Runs the lists under the semantics of the transport: every rank runs its list
// in order; SF and SB post and never block; RF and RB block until their message
// has arrived; channels, one for each (edge, direction, pair of ranks), are
// first in, first out; N is a barrier of all ranks. Messages take no time.
//
// Lists that hold no communication at all (before lowering) are run as if it
// were free: an F begins when every F that feeds it has ended, a backward when
// every backward that feeds it has.
//
// Total: an action that names a stage, edge or rank that does not exist takes
// its time and has no effect. Pure; linear in the actions.
ReplayResult Replay(const Schedule& schedule, const ReplayOptions& options);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_REPLAY_H_
