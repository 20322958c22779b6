#include "stage_server/engine/emulated_plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "stage_server/engine/list_check.h"

namespace penstock {
namespace {

// By stage: its layers as indices into the profile.
absl::StatusOr<std::vector<std::vector<int>>> StageLayersOf(const Plan& plan) {
  std::map<std::string, int> index;
  const wire::Profile& profile = plan.job().emulate();
  for (int i = 0; i < profile.layers_size(); ++i) {
    index[profile.layers(i).name()] = i;
  }
  std::vector<std::vector<int>> stage_layers;
  for (const StagePlan& stage : plan.stages()) {
    std::vector<int>& layers = stage_layers.emplace_back();
    for (const std::string& name : stage.layers()) {
      const auto found = index.find(name);
      if (found == index.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("plan: stage ", stage_layers.size() - 1,
                         ": the profile has no ", "layer \"", name, "\""));
      }
      layers.push_back(found->second);
    }
  }
  return stage_layers;
}

void AddLayer(const wire::LayerProfile& layer, double slowdown,
              EmulatedStage& stage) {
  const auto seconds = [slowdown](double value) { return value * slowdown; };
  stage.forward += seconds(layer.forward_seconds());
  stage.input_gradient += seconds(layer.input_gradient_seconds());
  stage.weight_gradient += seconds(layer.weight_gradient_seconds());
  stage.backward += seconds(layer.has_backward_seconds()
                                ? layer.backward_seconds()
                                : layer.input_gradient_seconds() +
                                      layer.weight_gradient_seconds());
  stage.recompute +=
      seconds(layer.has_recompute_seconds() ? layer.recompute_seconds()
                                            : layer.forward_seconds());
  stage.update += seconds(layer.update_seconds());
  stage.parameter_bytes += layer.parameter_bytes();
  stage.state_bytes += layer.state_bytes();
  stage.saved_bytes += layer.saved_bytes();
  stage.pending_weight_bytes += layer.pending_weight_bytes();
}

double SlowdownOf(const wire::Profile& profile, RankId rank) {
  if (rank.value() >= profile.devices_size()) return 1;
  const double slowdown = profile.devices(rank.value()).slowdown();
  return slowdown > 0 ? slowdown : 1;
}

// What of them is in a checkpoint; a profile's state is weights, gradients and
// what the optimizer keeps.
void AddKeptLayers(const wire::Profile& profile,
                   const std::vector<std::vector<int>>& stage_layers,
                   EmulatedRank& rank) {
  for (const wire::LayerProfile& layer : profile.layers()) {
    rank.layer_names.push_back(layer.name());
  }
  for (size_t stage = 0; stage < stage_layers.size(); ++stage) {
    const std::vector<RankId>& holders = rank.schedule.placement[stage];
    if (std::find(holders.begin(), holders.end(), rank.rank) == holders.end()) {
      continue;
    }
    for (const int index : stage_layers[stage]) {
      const wire::LayerProfile& layer = profile.layers(index);
      if (layer.parameter_bytes() == 0) continue;
      const int64_t weights = layer.parameter_bytes();
      rank.layers.push_back(
          {index, layer.name(), weights,
           std::max<int64_t>(0, layer.state_bytes() - 2 * weights)});
      if (holders.front() == rank.rank) {
        rank.own_layers.push_back(rank.layers.back());
      }
    }
  }
  const auto by_layer = [](const EmulatedLayer& a, const EmulatedLayer& b) {
    return a.layer < b.layer;
  };
  std::sort(rank.layers.begin(), rank.layers.end(), by_layer);
  std::sort(rank.own_layers.begin(), rank.own_layers.end(), by_layer);
}

int64_t BytesOf(const TensorSpec& tensor) {
  int64_t bytes = sizeof(float);
  for (const int64_t size : tensor.shape()) bytes *= size;
  return bytes;
}

}  // namespace

absl::StatusOr<EmulatedRank> ResolveEmulatedRank(const Plan& plan,
                                                 RankId rank) {
  EmulatedRank resolved;
  resolved.rank = rank;
  PENSTOCK_ASSIGN_OR_RETURN(resolved.schedule, PlannedSchedule(plan, rank));
  PENSTOCK_RETURN_IF_ERROR(CheckList(
      resolved.schedule, rank, std::max(1, plan.pieces_per_microbatch())));
  PENSTOCK_ASSIGN_OR_RETURN(const auto stage_layers, StageLayersOf(plan));
  const wire::Profile& profile = plan.job().emulate();
  for (const std::vector<int>& layers : stage_layers) {
    EmulatedStage& stage = resolved.stages.emplace_back();
    for (const int layer : layers) {
      AddLayer(profile.layers(layer), SlowdownOf(profile, rank), stage);
    }
  }
  resolved.edge_tensors = {plan.edge_tensors().begin(),
                           plan.edge_tensors().end()};
  for (size_t i = 0; i < resolved.edge_tensors.size(); ++i) {
    const StageId to = resolved.schedule.edges[i].to;
    resolved.stages[to.value()].input_bytes +=
        BytesOf(resolved.edge_tensors[i]);
  }
  AddKeptLayers(profile, stage_layers, resolved);
  resolved.batch_size = plan.job().batch_size();
  return resolved;
}

}  // namespace penstock
