#include "schedule/ir/gradient_slots.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace penstock {
namespace {

// Of one part of the lists, before which `*updated` updates were made.
int64_t SlotsIn(const std::vector<Action>& actions, StageId stage,
                int microbatches_per_update, int64_t* updated) {
  int64_t slots = 1;
  for (const Action& action : actions) {
    if (action.stage != stage) continue;
    if (action.op == Op::kUpdate) {
      *updated = std::max(*updated, int64_t{action.version.value_or(0)});
    } else if (action.op == Op::kBackward || action.op == Op::kBackwardWeight) {
      const int64_t update =
          action.microbatch.value() / microbatches_per_update;
      slots = std::max(slots, update - *updated + 1);
    }
  }
  return slots;
}

}  // namespace

int GradientSlots(const Schedule& schedule, RankId rank, StageId stage) {
  if (!schedule.is_continuous()) return 1;
  const int per_update =
      schedule.versions[stage.value()].microbatches_per_update;
  const auto index = static_cast<size_t>(rank.value());
  int64_t updated = 0;
  int64_t slots = SlotsIn(schedule.ranks[index], stage, per_update, &updated);
  for (const RankLists* lists : {&schedule.period, &schedule.epilogue}) {
    int64_t before = updated;
    slots =
        std::max(slots, SlotsIn((*lists)[index], stage, per_update, &before));
  }
  return static_cast<int>(slots);
}

}  // namespace penstock
