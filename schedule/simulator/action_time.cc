#include "schedule/simulator/action_time.h"

#include <algorithm>
#include <vector>

namespace penstock {
namespace {

double StageTime(const StageCost& cost, const Action& action) {
  switch (action.op) {
    case Op::kForward:
      return cost.forward * action.num_microbatches;
    case Op::kBackward:
      return cost.backward.value_or(cost.input_gradient + cost.weight_gradient);
    case Op::kBackwardInput:
      return cost.input_gradient;
    case Op::kBackwardWeight:
      return cost.weight_gradient;
    case Op::kRecompute:
      return cost.recompute.value_or(cost.forward);
    case Op::kUpdate:
      return cost.update;
    default:
      return 0;
  }
}

}  // namespace

double ActionTime(const Schedule& schedule, const CostModel& costs, int rank,
                  int position) {
  if (!costs.action_times.empty()) {
    const std::vector<double>& times = costs.action_times[rank];
    if (position < static_cast<int>(times.size()) && times[position] >= 0) {
      return times[position];
    }
  }
  const Action& action = schedule.ranks[rank][position];
  if (action.op == Op::kAgreeNorm) return 0;
  double time = StageTime(costs.stages[action.stage.value()], action);
  if (action.half != Half::kWhole) time /= 2;
  if (rank < static_cast<int>(costs.rank_slowdown.size())) {
    time *= costs.rank_slowdown[rank];
  }
  return time;
}

double PairGain(const Schedule& schedule, const CostModel& costs, int rank,
                int position) {
  if (costs.pair_gain == 0) return 0;
  const std::vector<Action>& actions = schedule.ranks[rank];
  int second = position + 1;
  while (second < static_cast<int>(actions.size()) &&
         (IsSend(actions[second].op) || IsReceive(actions[second].op))) {
    ++second;
  }
  if (second == static_cast<int>(actions.size()) ||
      !IsCompute(actions[second].op)) {
    return 0;
  }
  return costs.pair_gain * std::min(ActionTime(schedule, costs, rank, position),
                                    ActionTime(schedule, costs, rank, second));
}

}  // namespace penstock
