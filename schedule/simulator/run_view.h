#ifndef PENSTOCK_SCHEDULE_SIMULATOR_RUN_VIEW_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_RUN_VIEW_H_

#include <string>
#include <vector>

#include "schedule/ir/schedule.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// One run in a picture. Borrows both; `timeline` is of `schedule` (a rank's
// events may be fewer than its actions where the run was cut short).
struct RunView {
  // What stands above it; empty: the schedule's name.
  std::string title;
  const Schedule* schedule = nullptr;
  const Timeline* timeline = nullptr;
  // Actions to draw the eye to. Index is rank, position; missing: none.
  std::vector<std::vector<bool>> marked;

  const std::string& Title() const {
    return title.empty() ? schedule->name : title;
  }
  bool IsMarked(size_t rank, size_t position) const {
    return rank < marked.size() && position < marked[rank].size() &&
           marked[rank][position];
  }
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_RUN_VIEW_H_
