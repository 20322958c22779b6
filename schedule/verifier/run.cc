#include "schedule/verifier/run.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace penstock {
namespace {

// The last microbatch in the lists that are not repeated; -1 if there is none.
int LastMicrobatch(const Schedule& schedule) {
  int last = -1;
  for (const RankLists* lists : {&schedule.ranks, &schedule.epilogue}) {
    for (const std::vector<Action>& actions : *lists) {
      for (const Action& action : actions) {
        if (action.op != Op::kForward) continue;
        last = std::max(
            last, action.microbatch.value() + action.num_microbatches - 1);
      }
    }
  }
  return last;
}

size_t CountActions(const RankLists& lists) {
  size_t count = 0;
  for (const std::vector<Action>& actions : lists) count += actions.size();
  return count;
}

Action Shifted(const Schedule& schedule, Action action, int periods) {
  const int microbatches = periods * schedule.num_microbatches;
  if (action.microbatch.value() >= 0) {
    action.microbatch = MicrobatchId(action.microbatch.value() + microbatches);
  }
  const int stage = action.stage.value();
  if (action.version && stage >= 0 && stage < schedule.num_stages()) {
    *action.version +=
        microbatches / schedule.versions[stage].microbatches_per_update;
  }
  return action;
}

}  // namespace

Schedule RunOf(const Schedule& schedule, int periods) {
  if (!schedule.is_continuous()) return schedule;
  Schedule run = schedule;
  run.num_microbatches =
      LastMicrobatch(schedule) + 1 + periods * schedule.num_microbatches;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<Action>& actions = run.ranks[rank];
    actions.reserve(actions.size() + periods * schedule.period[rank].size() +
                    schedule.epilogue[rank].size());
    for (int k = 0; k < periods; ++k) {
      for (const Action& action : schedule.period[rank]) {
        actions.push_back(Shifted(schedule, action, k));
      }
    }
    for (const Action& action : schedule.epilogue[rank]) {
      actions.push_back(Shifted(schedule, action, periods));
    }
  }
  run.period.clear();
  run.epilogue.clear();
  return run;
}

bool FitsRun(const Schedule& schedule, int periods) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() / 2;
  constexpr int64_t kMostVersion = std::numeric_limits<int64_t>::max() / 2;
  if (int64_t{periods} * schedule.num_microbatches > kMost) return false;
  for (const RankLists* lists :
       {&schedule.ranks, &schedule.period, &schedule.epilogue}) {
    for (const std::vector<Action>& actions : *lists) {
      for (const Action& action : actions) {
        if (action.microbatch.value() > kMost ||
            action.version.value_or(0) > kMostVersion) {
          return false;
        }
      }
    }
  }
  return true;
}

int PeriodsToVerify(const Schedule& schedule) {
  if (!schedule.is_continuous() || schedule.num_microbatches < 1) return 0;
  const int64_t repeated = static_cast<int64_t>(CountActions(schedule.period));
  const int64_t all =
      repeated + static_cast<int64_t>(CountActions(schedule.ranks) +
                                      CountActions(schedule.epilogue));
  const int64_t ahead = LastMicrobatch(schedule) / schedule.num_microbatches;
  const int64_t most = 4 * all / std::max<int64_t>(1, repeated);
  return static_cast<int>(std::min(ahead + 3, most + 3));
}

}  // namespace penstock
