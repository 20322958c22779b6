#include "schedule/lowering/insert_updates.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"

namespace penstock {

absl::StatusOr<Schedule> InsertUpdates(Schedule schedule) {
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (const Action& action : schedule.ranks[rank]) {
      if (action.op == Op::kAgreeNorm || action.op == Op::kUpdate) {
        return absl::InvalidArgumentError(
            absl::StrCat("schedule ", schedule.name,
                         " has updates already, on rank ", rank));
      }
    }
  }
  for (std::vector<Action>& actions : schedule.ranks) {
    actions.push_back(AgreeNorm());
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    if (schedule.placement[stage].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("stage ", stage, " is on no rank"));
    }
    for (const RankId rank : schedule.placement[stage]) {
      if (rank.value() < 0 || rank.value() >= schedule.num_ranks()) {
        return absl::InvalidArgumentError(
            absl::StrCat("stage ", stage, " is placed on rank ", rank.value(),
                         " of ", schedule.num_ranks()));
      }
      schedule.ranks[rank.value()].push_back(Update(StageId(stage)));
    }
  }
  return schedule;
}

}  // namespace penstock
