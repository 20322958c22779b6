#include "stage_server/engine/list_check.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/verify.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {
namespace {

bool Runs(const Action& action) {
  return action.op != Op::kReduceGradient && action.half == Half::kWhole &&
         action.num_microbatches == 1;
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
    if (Runs(actions[i])) continue;
    return absl::UnimplementedError(absl::StrCat(
        where, ", action ", i, " (", ToString(actions[i], plan.schedule.edges),
        "): this engine does not run it"));
  }
  return absl::OkStatus();
}

}  // namespace penstock
