#include "coordinator/core/arithmetic.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/graph/flops_of_layers.h"
#include "models/graph/step_lengths.h"
#include "models/zoo/job_model.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

int64_t LengthOfStep(const Job& job, int64_t step) {
  const auto& lengths = job.data().sequence_lengths();
  if (lengths.empty()) return job.data().sequence_length();
  return StepLengths(job.seed(), {lengths.begin(), lengths.end()})
      .LengthOf(step - 1);
}

// Of one microbatch, by stage.
absl::StatusOr<std::vector<LayerFlops>> FlopsOfStages(const Plan& plan,
                                                      int64_t step) {
  const Job& job = plan.job();
  ModelRequest request = RequestOf(job);
  request.sequence_length = static_cast<int32_t>(LengthOfStep(job, step));
  PENSTOCK_ASSIGN_OR_RETURN(const Graph graph, MakeModel(request));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<LayerFlops> layers,
                            FlopsOfLayers(graph));
  std::map<std::string, LayerFlops> by_name;
  for (size_t i = 0; i < layers.size(); ++i) {
    by_name[graph.layers[i].name] = layers[i];
  }
  std::vector<LayerFlops> stages;
  for (const StagePlan& stage : plan.stages()) {
    LayerFlops& sum = stages.emplace_back();
    for (const std::string& layer : stage.layers()) {
      const LayerFlops& one = by_name[layer];
      sum.forward += one.forward;
      sum.input_gradient += one.input_gradient;
      sum.weight_gradient += one.weight_gradient;
    }
  }
  return stages;
}

double FlopsOf(const Action& action, const LayerFlops& stage) {
  const double share = action.half == Half::kWhole ? 1 : 0.5;
  switch (action.op) {
    case Op::kForward:
      return action.num_microbatches * stage.forward;
    case Op::kRecompute:
      return stage.forward;
    case Op::kBackward:
      return share * (stage.input_gradient + stage.weight_gradient);
    case Op::kBackwardInput:
      return share * stage.input_gradient;
    case Op::kBackwardWeight:
      return share * stage.weight_gradient;
    default:
      return 0;
  }
}

}  // namespace

absl::StatusOr<std::vector<double>> FlopsOfStep(const Plan& plan,
                                                const Schedule& schedule,
                                                int64_t step) {
  std::vector<double> flops(schedule.ranks.size());
  if (plan.job().has_emulate()) return flops;
  if (plan.job().schedule().microbatches() < 1 ||
      plan.stages_size() != schedule.num_stages()) {
    return absl::InvalidArgumentError(
        absl::StrCat("plan: ", plan.stages_size(), " stages for a schedule of ",
                     schedule.num_stages(), ", in ",
                     plan.job().schedule().microbatches(), " microbatches"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<LayerFlops> stages,
                            FlopsOfStages(plan, step));
  for (size_t rank = 0; rank < flops.size(); ++rank) {
    for (const Action& action : schedule.ranks[rank]) {
      if (!IsCompute(action.op)) continue;
      flops[rank] += FlopsOf(action, stages[action.stage.value()]);
    }
  }
  return flops;
}

}  // namespace penstock
