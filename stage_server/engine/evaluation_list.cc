#include "stage_server/engine/evaluation_list.h"

#include <algorithm>
#include <cstdint>

#include "base/status_macros.h"
#include "schedule/ir/run_length.h"
#include "stage_server/engine/run_list.h"

namespace penstock {
namespace {

// The action as an evaluation has it, if it does: `shift` microbatches later.
void AddForward(Action action, int shift, int num_microbatches,
                std::vector<Action>* list) {
  const bool moves =
      action.op == Op::kSendForward || action.op == Op::kReceiveForward;
  if (action.op != Op::kForward && !moves) return;
  // A tied weight goes with the update.
  if (action.microbatch == kWholeStep) return;
  const int first = action.microbatch.value() + shift;
  const int end = std::min(first + action.num_microbatches, num_microbatches);
  action.version.reset();
  action.overlaps_next = false;
  action.num_microbatches = 1;
  for (int b = first; b < end; ++b) {
    action.microbatch = MicrobatchId(b);
    list->push_back(action);
  }
}

}  // namespace

absl::StatusOr<std::vector<Action>> EvaluationList(const Schedule& schedule,
                                                   RankId rank,
                                                   int num_microbatches) {
  const int per_step = schedule.num_microbatches;
  const int64_t steps = (num_microbatches + per_step - 1) / per_step;
  std::vector<Action> list;
  if (!schedule.is_continuous()) {
    for (int64_t step = 0; step < steps; ++step) {
      for (const Action& action : schedule.ranks[rank.value()]) {
        AddForward(action, static_cast<int>(step) * per_step, num_microbatches,
                   &list);
      }
    }
    return list;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t least, LeastStepsOfRun(schedule));
  PENSTOCK_ASSIGN_OR_RETURN(
      const RunList run,
      RunList::Make(schedule, rank, {.num_steps = std::max(steps, least)}));
  for (int64_t position = 0; position < run.size(); ++position) {
    AddForward(run.ActionAt(position), 0, num_microbatches, &list);
  }
  return list;
}

}  // namespace penstock
