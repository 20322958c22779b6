#ifndef PENSTOCK_SCHEDULE_SIMULATOR_TIMELINE_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_TIMELINE_H_

#include <string>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// When one action of a list ran. Which action that is, the schedule says: the
// one at the same rank and position.
struct TimelineEvent {
  // From where the rank turned to the action to where it was done. A receive,
  // N or G that waits has begun; a compute action begins when its inputs are
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

// Where a rank's time went that was not work. The parts do not overlap.
struct IdleSplit {
  // Fill and drain: before the rank's first compute action and after its last,
  // but for communication.
  double warm_up = 0;
  // In between: waiting for another rank to make what the next action takes.
  double dependency = 0;
  // Waiting for what had been made and was on its way; N and G themselves.
  double communication = 0;
  // What waiting cannot avoid because another rank has more work: the
  // difference to the rank with the most, taken out of `dependency`, then out
  // of `warm_up`.
  double imbalance = 0;
  // The host's overhead of its actions.
  double overhead = 0;

  double total() const {
    return warm_up + dependency + communication + imbalance + overhead;
  }
};

struct RankSummary {
  // Compute and updates.
  double busy = 0;
  // Sums with `busy` to the run's makespan.
  IdleSplit idle;
  // Of the rank's own first and last compute action, and its idle time between.
  double first_start = 0;
  double last_end = 0;
  double span_idle = 0;
  // Most microbatches in flight at any time, in full stages (an F of one of v
  // chunks adds 1/v): from the start of F to the end of W or B.
  double peak_in_flight = 0;
};

struct TimelineSummary {
  // From the first action of any rank to the last.
  double makespan = 0;
  // Idle / total, over all ranks: of the makespan ("sync": all ranks wait for
  // the last one), and of each rank's own span from first to last compute
  // action (what the zero-bubble papers quote).
  double sync_bubble = 0;
  double span_bubble = 0;
  std::vector<RankSummary> ranks;
};

// Requires: `timeline` is of `schedule` (a rank's events may be fewer than its
// actions where the run was cut short). Pure; linear in the actions.
TimelineSummary Summarise(const Schedule& schedule, const Timeline& timeline);

struct CriticalStep {
  RankId rank;
  int position = 0;
};

// A longest chain of actions and messages, each of which began when the one
// before it had ended or arrived, that ends with the run: to make the run
// shorter, one of these has to take less. From first to last. Stops where a
// measured timeline does not know what an action waited for.
std::vector<CriticalStep> CriticalPath(const Timeline& timeline);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_TIMELINE_H_
