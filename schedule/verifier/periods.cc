#include "schedule/verifier/periods.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock {
namespace {

int64_t CountActions(const RankLists& lists) {
  size_t count = 0;
  for (const std::vector<Action>& actions : lists) count += actions.size();
  return static_cast<int64_t>(count);
}

// The last microbatch in the lists that are not repeated; -1 if there is none.
int64_t LastMicrobatch(const Schedule& schedule) {
  int64_t last = -1;
  for (const RankLists* lists : {&schedule.ranks, &schedule.epilogue}) {
    for (const std::vector<Action>& actions : *lists) {
      for (const Action& action : actions) {
        if (action.op != Op::kForward) continue;
        last = std::max(last, int64_t{action.microbatch.value()} +
                                  action.num_microbatches - 1);
      }
    }
  }
  return last;
}

}  // namespace

int PeriodsToVerify(const Schedule& schedule) {
  if (schedule.period.empty() || schedule.num_microbatches < 1) return 0;
  const int64_t repeated = std::max<int64_t>(1, CountActions(schedule.period));
  const int64_t all =
      repeated + CountActions(schedule.ranks) + CountActions(schedule.epilogue);
  const int64_t ahead = LastMicrobatch(schedule) / schedule.num_microbatches;
  return static_cast<int>(3 + std::min(ahead, 4 * all / repeated));
}

}  // namespace penstock
