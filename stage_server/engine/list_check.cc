#include "stage_server/engine/list_check.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

absl::Status CheckCanRun(const Action& action, int pieces_per_microbatch) {
  if (action.half == Half::kWhole || pieces_per_microbatch == 2) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "it is of half a microbatch; want pieces_per_microbatch 2, got ",
      pieces_per_microbatch));
}

absl::Status CheckShape(const Plan& plan, const Schedule& schedule,
                        RankId rank) {
  if (rank.value() < 0 || rank.value() >= schedule.num_ranks()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "plan: rank ", rank.value(), " of ", schedule.num_ranks(), " ranks"));
  }
  if (plan.stages_size() != schedule.num_stages() ||
      plan.edge_tensors_size() != static_cast<int>(schedule.edges.size())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "plan: ", plan.stages_size(), " stages and ", plan.edge_tensors_size(),
        " edge tensors for a schedule of ", schedule.num_stages(),
        " stages and ", schedule.edges.size(), " edges"));
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    const std::vector<RankId>& ranks = schedule.placement[stage];
    bool exist = !ranks.empty();
    for (const RankId holder : ranks) {
      exist =
          exist && holder.value() >= 0 && holder.value() < schedule.num_ranks();
    }
    if (exist) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "plan: stage ", stage, " is on ", ranks.size(),
        " ranks, want at least one, of the ", schedule.num_ranks()));
  }
  for (size_t i = 0; i < schedule.edges.size(); ++i) {
    const Edge& edge = schedule.edges[i];
    if (edge.from.value() < schedule.num_stages() &&
        edge.to.value() < schedule.num_stages()) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("plan: edge ", i, " (", edge.tensor, ") joins stages ",
                     edge.from.value(), " and ", edge.to.value(), " of ",
                     schedule.num_stages()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Schedule> PlannedSchedule(const Plan& plan, RankId rank) {
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule, FromProto(plan.schedule()));
  PENSTOCK_RETURN_IF_ERROR(CheckShape(plan, schedule, rank));
  return schedule;
}

absl::Status CheckList(const Schedule& schedule, RankId rank,
                       int pieces_per_microbatch) {
  const std::string where = absl::StrCat("plan: rank ", rank.value());
  const absl::Status sound = SoundOrError(schedule, VerifyRank(schedule, rank));
  if (!sound.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": ", sound.message()));
  }
  for (const RankLists* lists :
       {&schedule.ranks, &schedule.period, &schedule.epilogue}) {
    if (lists->empty()) continue;
    const std::vector<Action>& actions = (*lists)[rank.value()];
    for (size_t i = 0; i < actions.size(); ++i) {
      const absl::Status status =
          CheckCanRun(actions[i], pieces_per_microbatch);
      if (status.ok()) continue;
      return WithContext(
          status, absl::StrCat(where, ", action ", i, " (",
                               ToString(actions[i], schedule.edges), ")"));
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock
