#include "tests/parity/summation_order.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "models/zoo/zoo.h"
#include "schedule/ir/action.h"
#include "schedule/ir/schedule.h"
#include "schedule/ir/schedule_proto.h"

namespace penstock {

SummationOrder OrderOf(const Plan& plan) {
  const absl::StatusOr<Schedule> schedule = FromProto(plan.schedule());
  if (!schedule.ok()) return {};
  const int pieces = std::max(1, plan.pieces_per_microbatch());
  std::vector<std::vector<std::vector<int>>> of_stage(schedule->num_stages());
  for (int stage = 0; stage < schedule->num_stages(); ++stage) {
    for (const RankId holder : schedule->placement[stage]) {
      std::vector<int>& copy = of_stage[stage].emplace_back();
      for (const Action& action : schedule->ranks[holder.value()]) {
        if (action.stage != StageId(stage) ||
            (action.op != Op::kBackward && action.op != Op::kBackwardWeight)) {
          continue;
        }
        for (int i = 0; i < pieces; ++i) {
          if (action.half == Half::kFirst && i != 0) continue;
          if (action.half == Half::kSecond && i != 1) continue;
          copy.push_back(action.microbatch.value() * pieces + i);
        }
      }
    }
  }
  std::map<std::string, int> stage_of;
  for (int stage = 0; stage < plan.stages_size(); ++stage) {
    for (const std::string& layer : plan.stages(stage).layers()) {
      stage_of[layer] = stage;
    }
  }
  ModelRequest request;
  request.preset = plan.job().model().preset();
  request.overrides = {plan.job().model().overrides().begin(),
                       plan.job().model().overrides().end()};
  request.microbatch_size =
      plan.job().batch_size() / plan.job().schedule().microbatches();
  request.sequence_length = plan.job().data().sequence_length();
  request.data_kind = plan.job().data().kind();
  const absl::StatusOr<Graph> graph = MakeModel(request);
  if (!graph.ok()) return {};
  SummationOrder order;
  for (const LayerSpec& layer : graph->layers) {
    order.push_back(of_stage[stage_of.at(layer.name)]);
  }
  return order;
}

Job JobByPiece(const Plan& plan) {
  Job job = plan.job();
  job.mutable_schedule()->set_microbatches(
      job.schedule().microbatches() *
      std::max(1, plan.pieces_per_microbatch()));
  return job;
}

}  // namespace penstock
