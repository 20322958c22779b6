#include "schedule/ir/unroll.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

constexpr int64_t kMax = std::numeric_limits<int32_t>::max();

absl::Status CheckRules(const Schedule& schedule) {
  if (schedule.period.size() != schedule.ranks.size() ||
      schedule.epilogue.size() != schedule.ranks.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prologue has ", schedule.ranks.size(), " ranks, the period ",
        schedule.period.size(), " and the epilogue ", schedule.epilogue.size(),
        "; want equally many"));
  }
  if (schedule.versions.size() != schedule.placement.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are rules of versions for ", schedule.versions.size(), " of ",
        schedule.placement.size(), " stages; want one for each"));
  }
  for (size_t stage = 0; stage < schedule.versions.size(); ++stage) {
    const int update = schedule.versions[stage].microbatches_per_update;
    if (update < 1 || schedule.num_microbatches % update != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("stage ", stage, " updates after every ", update,
                       " microbatches, which must divide the ",
                       schedule.num_microbatches, " of a period"));
    }
  }
  return absl::OkStatus();
}

// Whether every number of `lists` can grow by `microbatches`. Versions grow
// slower.
absl::Status CheckRange(const RankLists& lists, int64_t microbatches) {
  for (const std::vector<Action>& actions : lists) {
    for (const Action& action : actions) {
      const int64_t last = int64_t{action.microbatch.value()} +
                           action.num_microbatches - 1 + microbatches;
      if (last > kMax || action.version.value_or(0) + microbatches > kMax) {
        return absl::InvalidArgumentError(
            absl::StrCat("a run of so many periods has microbatch or version "
                         "numbers beyond ",
                         kMax, "; want fewer periods"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSizes(const Schedule& schedule, int periods) {
  if (periods < 0 || schedule.num_microbatches < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(periods, " periods of ", schedule.num_microbatches,
                     " microbatches; want at least 0"));
  }
  const int64_t shift = int64_t{schedule.num_microbatches} * periods;
  PENSTOCK_RETURN_IF_ERROR(CheckRange(schedule.period, shift));
  PENSTOCK_RETURN_IF_ERROR(CheckRange(schedule.epilogue, shift));
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const int64_t size =
        static_cast<int64_t>(schedule.ranks[rank].size()) +
        static_cast<int64_t>(schedule.period[rank].size()) * periods +
        static_cast<int64_t>(schedule.epilogue[rank].size());
    if (size > kMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("rank ", rank, " would have ", size,
                       " actions, at most ", kMax, "; want fewer periods"));
    }
  }
  return absl::OkStatus();
}

int CountMicrobatches(const RankLists& lists) {
  int64_t count = 0;
  for (const std::vector<Action>& actions : lists) {
    for (const Action& action : actions) {
      if (action.op != Op::kForward) continue;
      count = std::max(
          count, int64_t{action.microbatch.value()} + action.num_microbatches);
    }
  }
  return static_cast<int>(std::min(count, kMax));
}

}  // namespace

Action Shift(const Action& action, const Schedule& schedule, int repetition) {
  Action shifted = action;
  const int microbatches = schedule.num_microbatches * repetition;
  if (action.microbatch.value() >= 0) {
    shifted.microbatch = MicrobatchId(action.microbatch.value() + microbatches);
  }
  const int stage = action.stage.value();
  if (action.version && 0 <= stage && stage < schedule.num_stages()) {
    shifted.version =
        *action.version +
        microbatches / schedule.versions[stage].microbatches_per_update;
  }
  return shifted;
}

absl::StatusOr<Schedule> Unroll(const Schedule& schedule, int periods) {
  if (schedule.period.empty() && schedule.epilogue.empty()) return schedule;
  PENSTOCK_RETURN_IF_ERROR(CheckRules(schedule));
  PENSTOCK_RETURN_IF_ERROR(CheckSizes(schedule, periods));
  Schedule run{.name = schedule.name,
               .policy = schedule.policy,
               .accumulation = schedule.accumulation,
               .placement = schedule.placement,
               .versions = schedule.versions,
               .edges = schedule.edges};
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const std::vector<Action>& period = schedule.period[rank];
    const std::vector<Action>& epilogue = schedule.epilogue[rank];
    std::vector<Action>& actions = run.ranks.emplace_back();
    actions.reserve(schedule.ranks[rank].size() + period.size() * periods +
                    epilogue.size());
    actions = schedule.ranks[rank];
    for (int repetition = 0; repetition < periods; ++repetition) {
      for (const Action& action : period) {
        actions.push_back(Shift(action, schedule, repetition));
      }
    }
    for (const Action& action : epilogue) {
      actions.push_back(Shift(action, schedule, periods));
    }
  }
  run.num_microbatches = CountMicrobatches(run.ranks);
  return run;
}

}  // namespace penstock
