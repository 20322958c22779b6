#include "schedule/simulator/profile.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

LinkCost CostOf(const wire::LinkProfile& link) {
  LinkCost cost{.latency = link.latency_seconds(),
                .bandwidth = link.bytes_per_second()};
  if (link.has_eager_bytes()) cost.eager_bytes = link.eager_bytes();
  return cost;
}

void AddLayer(const wire::LayerProfile& layer, StageCost* stage) {
  stage->forward += layer.forward_seconds();
  stage->input_gradient += layer.input_gradient_seconds();
  stage->weight_gradient += layer.weight_gradient_seconds();
  *stage->backward +=
      layer.has_backward_seconds()
          ? layer.backward_seconds()
          : layer.input_gradient_seconds() + layer.weight_gradient_seconds();
  *stage->recompute += layer.has_recompute_seconds() ? layer.recompute_seconds()
                                                     : layer.forward_seconds();
  stage->update += layer.update_seconds();
  stage->saved_bytes += layer.saved_bytes();
  stage->pending_weight_bytes += layer.pending_weight_bytes();
  stage->static_bytes += layer.state_bytes();
  stage->version_bytes += layer.parameter_bytes();
}

absl::StatusOr<std::vector<StageCost>> StageCosts(
    const wire::Profile& profile,
    const std::vector<std::vector<int>>& stage_layers) {
  std::vector<int> stage_of(profile.layers_size(), -1);
  std::vector<StageCost> stages;
  for (int s = 0; s < static_cast<int>(stage_layers.size()); ++s) {
    StageCost stage{.backward = 0, .recompute = 0};
    int64_t workspace = 0;
    for (const int layer : stage_layers[s]) {
      if (layer < 0 || layer >= profile.layers_size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("stage ", s, " runs layer ", layer,
                         " of a profile of ", profile.layers_size()));
      }
      if (stage_of[layer] >= 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("layer \"", profile.layers(layer).name(),
                         "\" is in stage ", stage_of[layer], " and in ", s));
      }
      stage_of[layer] = s;
      AddLayer(profile.layers(layer), &stage);
      workspace = std::max(workspace, profile.layers(layer).workspace_bytes());
    }
    stage.static_bytes += workspace;
    stages.push_back(stage);
  }
  return stages;
}

// Sizes of the schedule's edges; what comes into each stage is what recomputing
// it keeps.
absl::Status AddEdges(const wire::Profile& profile, const Schedule& schedule,
                      CostModel* costs) {
  absl::flat_hash_map<absl::string_view, int64_t> sizes;
  for (const wire::TensorProfile& tensor : profile.tensors()) {
    sizes[tensor.name()] = tensor.bytes();
  }
  for (size_t i = 0; i < schedule.edges.size(); ++i) {
    const Edge& edge = schedule.edges[i];
    const auto size = sizes.find(edge.tensor);
    if (size == sizes.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the profile has no size of tensor \"", edge.tensor,
          "\", which goes from stage ", edge.from.value(), " to ",
          edge.to.value(), "; profile the model again with this cut"));
    }
    costs->edge_bytes.push_back(size->second);
    const int to = edge.to.value();
    if (edge.kind == EdgeKind::kActivation && to >= 0 &&
        to < schedule.num_stages()) {
      costs->stages[to].input_bytes += size->second;
    }
  }
  return absl::OkStatus();
}

// A ring sends 2 (R - 1) messages of 1/R of the gradient each, one after the
// other, over every link.
double RingTime(const CostModel& costs, const std::vector<RankId>& holders,
                int64_t bytes) {
  const int count = static_cast<int>(holders.size());
  double slowest = 0;
  for (int i = 0; i < count; ++i) {
    const auto given = costs.links.find(
        {holders[i].value(), holders[(i + 1) % count].value()});
    const LinkCost& link =
        given == costs.links.end() ? costs.link : given->second;
    const double share = static_cast<double>(bytes) / count;
    slowest = std::max(
        slowest,
        link.latency + (link.bandwidth > 0 ? share / link.bandwidth : 0));
  }
  return 2 * (count - 1) * slowest;
}

}  // namespace

absl::StatusOr<CostModel> ProfiledCosts(
    const wire::Profile& profile,
    const std::vector<std::vector<int>>& stage_layers,
    const Schedule& schedule) {
  PENSTOCK_RETURN_IF_ERROR(CheckProfile(profile));
  if (static_cast<int>(stage_layers.size()) != schedule.num_stages()) {
    return absl::InvalidArgumentError(
        absl::StrCat("layers of ", stage_layers.size(), " stages for schedule ",
                     schedule.name, " of ", schedule.num_stages()));
  }
  CostModel costs;
  PENSTOCK_ASSIGN_OR_RETURN(costs.stages, StageCosts(profile, stage_layers));
  PENSTOCK_RETURN_IF_ERROR(AddEdges(profile, schedule, &costs));
  costs.link = CostOf(profile.link());
  for (const wire::LinkProfile& link : profile.links()) {
    costs.links[{link.from_rank(), link.to_rank()}] = CostOf(link);
  }
  for (const wire::DeviceProfile& device : profile.devices()) {
    costs.rank_slowdown.push_back(device.slowdown() > 0 ? device.slowdown()
                                                        : 1);
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    StageCost& cost = costs.stages[stage];
    cost.reduce =
        RingTime(costs, schedule.placement[stage], cost.version_bytes);
  }
  costs.action_overhead = profile.action_overhead_seconds();
  costs.agree_norm = profile.agree_norm_seconds();
  costs.pair_gain = profile.pair_gain();
  return costs;
}

}  // namespace penstock
