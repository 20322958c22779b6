#include "stage_server/engine/list_check.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/verify.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {
namespace {

absl::Status CheckCanRun(const RankPlan& plan, const Action& action) {
  if (action.half == Half::kWhole || plan.pieces_per_microbatch == 2) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "it is of half a microbatch; want pieces_per_microbatch 2, got ",
      plan.pieces_per_microbatch));
}

}  // namespace

absl::Status CheckList(const RankPlan& plan) {
  const std::string where = absl::StrCat("plan: rank ", plan.rank.value());
  if (plan.schedule.is_continuous()) {
    return absl::UnimplementedError(
        absl::StrCat(where, ": schedule ", plan.schedule.name,
                     " does not flush; this engine runs schedules that flush"));
  }
  const absl::Status sound =
      SoundOrError(plan.schedule, VerifyRank(plan.schedule, plan.rank));
  if (!sound.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": ", sound.message()));
  }
  const std::vector<Action>& actions = plan.actions();
  for (size_t i = 0; i < actions.size(); ++i) {
    const absl::Status status = CheckCanRun(plan, actions[i]);
    if (status.ok()) continue;
    return WithContext(
        status, absl::StrCat(where, ", action ", i, " (",
                             ToString(actions[i], plan.schedule.edges), ")"));
  }
  return absl::OkStatus();
}

}  // namespace penstock
