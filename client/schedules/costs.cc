#include "client/schedules/costs.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "schedule/planner/partition.h"
#include "schedule/planner/profile_cut.h"
#include "schedule/simulator/profile.h"

namespace penstock {
namespace {

absl::StatusOr<CostModel> FromProfile(const wire::Profile& profile,
                                      Schedule schedule) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<LayerRange> cut,
                            CutProfile(profile, schedule.num_stages()));
  std::vector<std::vector<int>> stage_layers;
  for (const LayerRange& range : cut) {
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

std::string ProfileToJson(const wire::Profile& profile) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails only for messages with `Any`s.
  (void)google::protobuf::util::MessageToJsonString(profile, &json, options);
  return json;
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
