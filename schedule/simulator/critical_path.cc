#include "schedule/simulator/critical_path.h"

#include <algorithm>

namespace penstock {

std::vector<CriticalStep> CriticalPath(const Timeline& timeline) {
  CriticalStep step{RankId(-1), -1};
  double latest = -1;
  size_t num_events = 0;
  for (int rank = 0; rank < static_cast<int>(timeline.ranks.size()); ++rank) {
    const std::vector<TimelineEvent>& events = timeline.ranks[rank];
    num_events += events.size();
    for (int i = 0; i < static_cast<int>(events.size()); ++i) {
      if (events[i].start < 0 || events[i].end <= latest) continue;
      latest = events[i].end;
      step = {RankId(rank), i};
    }
  }
  std::vector<CriticalStep> path;
  while (step.rank.value() >= 0 && path.size() <= num_events) {
    path.push_back(step);
    const TimelineEvent& event =
        timeline.ranks[step.rank.value()][step.position];
    step = {event.after_rank, event.after_position};
  }
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace penstock
