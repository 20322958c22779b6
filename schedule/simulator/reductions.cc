#include "schedule/simulator/reductions.h"

namespace penstock {

std::vector<int> Reductions::Start(int rank, int position, const Action& reduce,
                                   double now, double time) {
  const int stage = reduce.stage.value();
  const auto [last, first] = last_.try_emplace({stage, rank}, -1);
  last->second = reduce.version.value_or(last->second + 1);
  Reduction& reduction = reductions_[{stage, last->second}];
  if (now >= reduction.start_time) {
    reduction.start_time = now;
    reduction.last = RankId(rank);
    reduction.last_position = position;
  }
  const size_t holders = schedule_.placement[stage].size();
  if (static_cast<size_t>(++reduction.started) < holders) return {};
  reduction.end_time = reduction.start_time + time;
  return std::exchange(reduction.waiters, {});
}

}  // namespace penstock
