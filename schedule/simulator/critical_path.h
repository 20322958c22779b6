#ifndef PENSTOCK_SCHEDULE_SIMULATOR_CRITICAL_PATH_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_CRITICAL_PATH_H_

#include <vector>

#include "base/ids.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

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

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_CRITICAL_PATH_H_
