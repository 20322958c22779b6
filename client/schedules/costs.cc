#include "client/schedules/costs.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "schedule/planner/partition.h"
#include "schedule/simulator/profile.h"

namespace penstock {
namespace {

// As the partition weighs them.
int64_t Nanoseconds(const LayerRange& range, const wire::Profile& profile) {
  double seconds = 0;
  for (int i = range.begin; i < range.end; ++i) {
    const wire::LayerProfile& layer = profile.layers(i);
    seconds +=
        layer.forward_seconds() + (layer.has_backward_seconds()
                                       ? layer.backward_seconds()
                                       : layer.input_gradient_seconds() +
                                             layer.weight_gradient_seconds());
  }
  return std::llround(seconds * 1e9);
}

absl::StatusOr<CostModel> FromProfile(const wire::Profile& profile,
                                      Schedule schedule) {
  PENSTOCK_RETURN_IF_ERROR(CheckProfile(profile));
  std::vector<int64_t> weights;
  for (int i = 0; i < profile.layers_size(); ++i) {
    weights.push_back(Nanoseconds({i, i + 1}, profile));
  }
  absl::StatusOr<std::vector<LayerRange>> cut =
      PartitionEvenly(weights, schedule.num_stages());
  if (!cut.ok()) return WithContext(cut.status(), "profile");
  std::vector<std::vector<int>> stage_layers;
  for (const LayerRange& range : *cut) {
    stage_layers.emplace_back();
    for (int i = range.begin; i < range.end; ++i) {
      stage_layers.back().push_back(i);
    }
  }
  std::set<std::string> tensors;
  for (const wire::TensorProfile& tensor : profile.tensors()) {
    tensors.insert(tensor.name());
  }
  for (Edge& edge : schedule.edges) {
    const int stage = edge.from.value();
    if (tensors.count(edge.tensor) > 0 || stage < 0 ||
        stage >= schedule.num_stages()) {
      continue;
    }
    edge.tensor = profile.layers(stage_layers[stage].back()).name();
  }
  return ProfiledCosts(profile, stage_layers, schedule);
}

}  // namespace

absl::StatusOr<CostModel> CostsOf(const CostRequest& request,
                                  Schedule schedule) {
  if (request.profile.has_value()) {
    return FromProfile(*request.profile, std::move(schedule));
  }
  CostModel costs = UniformCosts(schedule, request.times);
  costs.action_overhead = request.action_overhead;
  costs.pair_gain = request.pair_gain;
  return costs;
}

absl::StatusOr<wire::Profile> ParseProfile(absl::string_view json) {
  wire::Profile profile;
  const auto status = google::protobuf::util::JsonStringToMessage(
      {json.data(), json.size()}, &profile);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("no profile as JSON: ", status.ToString()));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckProfile(profile));
  return profile;
}

}  // namespace penstock
