#include "schedule/verifier/accumulation_order.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Whether both count for the same update of their stage.
bool CountTogether(const Schedule& schedule, const Action& a, const Action& b) {
  if (!schedule.is_continuous()) return true;
  const int m = schedule.versions[a.stage.value()].microbatches_per_update;
  return a.microbatch.value() / m == b.microbatch.value() / m;
}

bool InOrder(AccumulationOrder order, const Action& before,
             const Action& after) {
  if (before.microbatch == after.microbatch) return before.half <= after.half;
  return (before.microbatch < after.microbatch) ==
         (order == AccumulationOrder::kAscending);
}

}  // namespace

void CheckAccumulationOrder(const Subject& subject,
                            std::vector<Violation>* all) {
  const Schedule& schedule = subject.schedule();
  if (schedule.accumulation == AccumulationOrder::kAsListed) return;
  RuleViolations found("accumulation_order", all);
  const bool ascending = schedule.accumulation == AccumulationOrder::kAscending;
  std::vector<int> last(schedule.num_stages());
  for (const RankId rank : subject.ranks()) {
    last.assign(schedule.num_stages(), -1);
    const std::vector<Action>& actions = subject.actions(rank);
    for (size_t i = 0; i < actions.size() && !found.full(); ++i) {
      const Action& action = actions[i];
      if (!GivesWeightGradient(action.op) || !subject.IsOwn(rank, action)) {
        continue;
      }
      int& before = last[action.stage.value()];
      if (before >= 0 && CountTogether(schedule, actions[before], action) &&
          !InOrder(schedule.accumulation, actions[before], action)) {
        found.Add(rank, static_cast<int>(i),
                  absl::StrCat(subject.TextOf(action), " comes after ",
                               subject.TextOf(actions[before]),
                               "; the schedule sums gradients in ",
                               ascending ? "ascending" : "descending",
                               " order of microbatches"));
      }
      before = static_cast<int>(i);
    }
  }
}

}  // namespace penstock
