#include "schedule/lowering/annotate_versions.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/holders.h"

namespace penstock {
namespace {

absl::StatusOr<int64_t> VersionOf(const Schedule& schedule,
                                  const Action& action, bool in_period) {
  const int stage = action.stage.value();
  if (stage < 0 || stage >= static_cast<int>(schedule.versions.size()) ||
      schedule.versions[stage].microbatches_per_update < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule.name, " has no version rule for stage ", stage));
  }
  const VersionRule& rule = schedule.versions[stage];
  const int first = action.microbatch.value();
  const int last = first + action.num_microbatches - 1;
  const int64_t update = first / rule.microbatches_per_update;
  if (last / rule.microbatches_per_update != update) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the microbatches of ", ToString(action),
        " count for different updates; want one version for both"));
  }
  if (in_period && update < rule.delay) {
    return absl::InvalidArgumentError(
        absl::StrCat("the period has ", ToString(action),
                     ", which reads version 0 only because there is none "
                     "before; want a longer prologue"));
  }
  return std::max<int64_t>(0, update - rule.delay);
}

}  // namespace

absl::StatusOr<Schedule> AnnotateVersions(Schedule schedule) {
  if (!schedule.is_continuous()) return schedule;
  for (RankLists* lists : SectionsOf(schedule)) {
    for (std::vector<Action>& actions : *lists) {
      for (Action& action : actions) {
        if (!IsCompute(action.op)) continue;
        PENSTOCK_ASSIGN_OR_RETURN(
            action.version,
            VersionOf(schedule, action, lists == &schedule.period));
      }
    }
  }
  return schedule;
}

}  // namespace penstock
