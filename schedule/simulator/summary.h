#ifndef PENSTOCK_SCHEDULE_SIMULATOR_SUMMARY_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_SUMMARY_H_

#include <vector>

#include "schedule/ir/schedule.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// Where a rank's time went that was not work. The parts do not overlap.
struct IdleSplit {
  // Fill and drain: before the rank's first compute action and after its last,
  // but for communication.
  double warm_up = 0;
  // In between: waiting for another rank to make what the next action takes.
  double dependency = 0;
  // Waiting for what had been made and was on its way, for the end of a
  // reduction, and N itself.
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

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_SUMMARY_H_
