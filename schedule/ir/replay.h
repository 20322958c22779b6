#ifndef PENSTOCK_SCHEDULE_IR_REPLAY_H_
#define PENSTOCK_SCHEDULE_IR_REPLAY_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

struct ReplayOptions {
  // How long an action takes, at least 0; unset: 1 each.
  std::function<int64_t(const Action&)> cost;
  // Whether the parts of a pair X&Y (or of a longer chain) run at the same
  // time, from when all of them can begin; else one after the other.
  bool overlap_pairs = false;
};

struct ReplayResult {
  // When each action of each rank began; -1 if it never did.
  std::vector<std::vector<int64_t>> starts;
  // Whether every list ran to its end.
  bool complete = true;
  // When the last action ended.
  int64_t makespan = 0;
};

// When everything happens if messages take no time. A rank runs its list in
// order; SF and SB post and never block; RF and RB block until their message
// has arrived; channels, one for each (edge, direction, pair of ranks), are
// first in, first out; N waits for all ranks; G never blocks; where a stage is
// on several ranks, its SB* and a continuous schedule's U wait for the G of all
// of them.
//
// Lists that hold no communication at all (before lowering) are run as if it
// were free: an F begins when every F that feeds it has ended, a backward when
// every backward that feeds it has; half a backward waits for half of each.
//
// Runs `ranks` only: write a continuous schedule out first (unroll.h).
//
// Total: what names something that does not exist takes its time and has no
// effect; a list that is stuck stays so. Pure; linear in the actions.
ReplayResult Replay(const Schedule& schedule, const ReplayOptions& options);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_REPLAY_H_
