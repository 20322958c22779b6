#include "schedule/simulator/cost_model.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace penstock {

namespace {

// Over the ranks that run forwards; 0 where none does.
double MeanStagesOfAMicrobatch(const Schedule& schedule) {
  int stages = 0;
  int ranks = 0;
  for (const std::vector<Action>& list : schedule.ranks) {
    std::optional<MicrobatchId> microbatch;
    for (const Action& action : list) {
      if (action.op != Op::kForward) continue;
      if (!microbatch.has_value()) {
        microbatch = action.microbatch;
        ++ranks;
      }
      if (action.microbatch == *microbatch) ++stages;
    }
  }
  return ranks == 0 ? 0 : static_cast<double>(stages) / ranks;
}

}  // namespace

double ChunksPerRank(const Schedule& schedule) {
  if (schedule.num_ranks() == 0) return 1;
  const bool has_copies =
      std::any_of(schedule.placement.begin(), schedule.placement.end(),
                  [](const auto& holders) { return holders.size() > 1; });
  if (has_copies) return std::max(1.0, MeanStagesOfAMicrobatch(schedule));
  return std::max(
      1.0, static_cast<double>(schedule.num_stages()) / schedule.num_ranks());
}

CostModel UniformCosts(const Schedule& schedule, const UniformTimes& times) {
  const double chunks = ChunksPerRank(schedule);
  StageCost stage;
  stage.forward = times.forward / chunks;
  stage.input_gradient = times.input_gradient / chunks;
  stage.weight_gradient = times.weight_gradient / chunks;
  stage.saved_bytes = std::llround(times.saved_bytes / chunks);
  CostModel costs;
  costs.stages.assign(schedule.num_stages(), stage);
  costs.link = {.latency = times.hop, .serialised = false};
  return costs;
}

CostModel ScaledCosts(CostModel costs, const std::vector<double>& factors) {
  for (size_t s = 0; s < std::min(factors.size(), costs.stages.size()); ++s) {
    StageCost& stage = costs.stages[s];
    for (double* time :
         {&stage.forward, &stage.input_gradient, &stage.weight_gradient}) {
      *time *= factors[s];
    }
    if (stage.backward) *stage.backward *= factors[s];
    if (stage.recompute) *stage.recompute *= factors[s];
  }
  return costs;
}

}  // namespace penstock
