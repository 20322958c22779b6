#include "schedule/simulator/check_costs.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

constexpr double kMost = 1e15;

// `what` is made into text only for the error.
template <typename What>
absl::Status CheckNumber(double value, const What& what, double most = kMost) {
  if (value >= 0 && value <= most) return absl::OkStatus();  // not for NaN
  return absl::InvalidArgumentError(absl::StrCat("cost model: ", what(), " is ",
                                                 value, ", want 0 to ", most));
}

absl::Status CheckStage(int stage, const StageCost& cost) {
  const auto named = [stage](absl::string_view name) {
    return [stage, name] { return absl::StrCat(name, " of stage ", stage); };
  };
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(cost.forward, named("forward")));
  PENSTOCK_RETURN_IF_ERROR(
      CheckNumber(cost.input_gradient, named("input_gradient")));
  PENSTOCK_RETURN_IF_ERROR(
      CheckNumber(cost.weight_gradient, named("weight_gradient")));
  PENSTOCK_RETURN_IF_ERROR(
      CheckNumber(cost.backward.value_or(0), named("backward")));
  PENSTOCK_RETURN_IF_ERROR(
      CheckNumber(cost.recompute.value_or(0), named("recompute")));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(cost.update, named("update")));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(cost.reduce, named("reduce")));
  for (const auto& [name, bytes] :
       {std::pair("saved_bytes", cost.saved_bytes),
        std::pair("pending_weight_bytes", cost.pending_weight_bytes),
        std::pair("input_bytes", cost.input_bytes),
        std::pair("static_bytes", cost.static_bytes),
        std::pair("version_bytes", cost.version_bytes)}) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckNumber(static_cast<double>(bytes), named(name)));
  }
  return absl::OkStatus();
}

absl::Status CheckLink(const LinkCost& link, absl::string_view name) {
  const auto named = [name](absl::string_view what) {
    return [name, what] { return absl::StrCat(what, " of ", name); };
  };
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(link.latency, named("latency")));
  return CheckNumber(link.bandwidth, named("bandwidth"));
}

}  // namespace

absl::Status CheckCosts(const Schedule& schedule, const CostModel& costs) {
  if (static_cast<int>(costs.stages.size()) != schedule.num_stages()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cost model of ", costs.stages.size(), " stages for schedule ",
        schedule.name, " of ", schedule.num_stages()));
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    PENSTOCK_RETURN_IF_ERROR(CheckStage(stage, costs.stages[stage]));
  }
  for (size_t edge = 0; edge < costs.edge_bytes.size(); ++edge) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckNumber(static_cast<double>(costs.edge_bytes[edge]),
                    [edge] { return absl::StrCat("bytes of edge ", edge); }));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckLink(costs.link, "every link"));
  for (const auto& [ends, link] : costs.links) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckLink(link, absl::StrCat("link r", ends.first, ">r", ends.second)));
  }
  for (size_t rank = 0; rank < costs.rank_slowdown.size(); ++rank) {
    PENSTOCK_RETURN_IF_ERROR(CheckNumber(costs.rank_slowdown[rank], [rank] {
      return absl::StrCat("slowdown of r", rank);
    }));
  }
  if (!costs.action_times.empty() &&
      costs.action_times.size() != schedule.ranks.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cost model with action times of ", costs.action_times.size(),
        " ranks for ", schedule.num_ranks()));
  }
  for (const std::vector<double>& times : costs.action_times) {
    for (const double time : times) {
      if (time < 0) continue;
      PENSTOCK_RETURN_IF_ERROR(
          CheckNumber(time, [] { return "the time of an action"; }));
    }
  }
  PENSTOCK_RETURN_IF_ERROR(
      CheckNumber(costs.action_overhead, [] { return "action_overhead"; }));
  PENSTOCK_RETURN_IF_ERROR(
      CheckNumber(costs.agree_norm, [] { return "agree_norm"; }));
  return CheckNumber(
      costs.pair_gain, [] { return "pair_gain"; }, 1);
}

}  // namespace penstock
