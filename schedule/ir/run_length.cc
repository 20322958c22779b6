#include "schedule/ir/run_length.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

using CountByStage = std::map<StageId, int64_t>;

// Adds the microbatches of the forwards.
void Count(const std::vector<Action>& actions, CountByStage* count) {
  for (const Action& action : actions) {
    if (action.op != Op::kForward) continue;
    (*count)[action.stage] += action.num_microbatches;
  }
}

absl::Status Bad(const Schedule& schedule, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("schedule ", schedule.name, " ", problem));
}

}  // namespace

absl::StatusOr<int64_t> LeastStepsOfRun(const Schedule& schedule) {
  if (!schedule.is_continuous()) {
    return Bad(schedule,
               "flushes: each of its steps stands alone; want one that runs on "
               "from step to step");
  }
  std::optional<int64_t> steps;
  for (size_t rank = 0; rank < schedule.period.size(); ++rank) {
    CountByStage in_period;
    CountByStage ends;
    Count(schedule.period[rank], &in_period);
    if (rank < schedule.ranks.size()) Count(schedule.ranks[rank], &ends);
    if (rank < schedule.epilogue.size()) Count(schedule.epilogue[rank], &ends);
    for (const auto& [stage, count] : in_period) {
      const int64_t of_stage = ends[stage];
      if (of_stage % count != 0 ||
          steps.value_or(of_stage / count) != of_stage / count) {
        return Bad(schedule,
                   absl::StrCat("has ", of_stage, " microbatches of stage ",
                                stage.value(), " on rank ", rank,
                                " before and after its periods of ", count,
                                "; want the same whole number of periods "
                                "everywhere"));
      }
      steps = of_stage / count;
    }
  }
  if (!steps) return Bad(schedule, "has no period with a forward in it");
  return *steps;
}

absl::StatusOr<int> PeriodsOfRun(const Schedule& schedule, int64_t steps) {
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t least, LeastStepsOfRun(schedule));
  if (steps < least) {
    return Bad(schedule,
               absl::StrCat("takes at least ", least,
                            " steps to fill and to drain, got ", steps));
  }
  const int64_t most = std::numeric_limits<int32_t>::max() /
                       std::max(1, schedule.num_microbatches);
  if (steps > most) {
    return Bad(
        schedule,
        absl::StrCat("numbers its microbatches through the run: with ",
                     schedule.num_microbatches, " a step it takes at most ",
                     most, " steps, got ", steps));
  }
  return static_cast<int>(steps - least);
}

}  // namespace penstock
