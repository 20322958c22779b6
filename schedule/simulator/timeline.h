#ifndef PENSTOCK_SCHEDULE_SIMULATOR_TIMELINE_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_TIMELINE_H_

#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// When one action of a list ran. Which action that is, the schedule says: the
// one at the same rank and position.
struct TimelineEvent {
  // From where the rank turned to the action to where it was done. A receive,
  // N that waits has begun; a compute action begins when its inputs are
  // there. Negative: it has not run.
  double start = -1;
  double end = -1;
  // The part at its beginning that is the host's overhead, not work.
  double overhead = 0;
  // When the last thing that it waited for had been made, at the other rank:
  // before this the wait is for work, after it for the network. Negative: it
  // waited for nothing, or it is not known.
  double inputs_made = -1;
  // The action that let it begin (a receive: end) no earlier: the one before it
  // on its rank, the maker of its last input, the last to arrive at a barrier.
  // -1: none, or not known.
  RankId after_rank;
  int after_position = -1;
};

// One message between two ranks.
struct Transfer {
  EdgeId edge;
  bool backward = false;
  // `kWholeStep` for a tied weight's.
  MicrobatchId microbatch;
  Half half = Half::kWhole;
  RankId from;
  // Of the send, or of the compute action in a schedule without sends.
  int from_position = -1;
  RankId to;
  // Of the action that took it; -1: none has yet.
  int to_position = -1;
  // When it was sent, got onto the link, and was there.
  double posted = -1;
  double start = -1;
  double end = -1;
};

// A run of a schedule, simulated or measured: the two have the same form, so
// that they can be laid side by side. Belongs to the schedule that was run and
// is of no use without it. Times from 0, in seconds where they are measured or
// from a profile, else in the unit of the cost model.
struct Timeline {
  // Index is rank, position in the rank's list.
  std::vector<std::vector<TimelineEvent>> ranks;
  // In the order in which they were sent; empty where nobody asked for them.
  std::vector<Transfer> transfers;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_TIMELINE_H_
