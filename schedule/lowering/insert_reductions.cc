#include "schedule/lowering/insert_reductions.h"

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/lowering/holders.h"
#include "schedule/lowering/update_points.h"

namespace penstock {

absl::StatusOr<Schedule> InsertReductions(Schedule schedule) {
  for (const RankLists* lists : SectionsOf(schedule)) {
    for (size_t rank = 0; rank < lists->size(); ++rank) {
      for (const Action& action : (*lists)[rank]) {
        if (action.op != Op::kReduceGradient) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("schedule ", schedule.name,
                         " has reductions already, on rank ", rank));
      }
    }
  }
  PENSTOCK_ASSIGN_OR_RETURN(const auto points, FindUpdatePoints(schedule));
  const std::vector<RankLists*> sections = SectionsOf(schedule);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<Insertions> added(sections.size());
    for (const UpdatePoint& point : points[rank]) {
      if (schedule.placement[point.stage.value()].size() < 2) continue;
      Action reduce{.op = Op::kReduceGradient, .stage = point.stage};
      if (schedule.is_continuous()) reduce.version = point.version;
      added[point.section].Add(point.position, reduce);
    }
    for (size_t i = 0; i < sections.size(); ++i) {
      std::vector<Action>& actions = (*sections[i])[rank];
      actions = added[i].ApplyTo(actions);
    }
  }
  return schedule;
}

}  // namespace penstock
