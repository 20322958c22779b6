#include "schedule/lowering/insert_updates.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/lowering/holders.h"
#include "schedule/lowering/update_points.h"

namespace penstock {
namespace {

Action UpdateTo(StageId stage, int64_t version) {
  Action update = Update(stage);
  update.version = version;
  return update;
}

// The updates of one rank of a continuous schedule.
class ContinuousUpdates {
 public:
  ContinuousUpdates(const Schedule& schedule, RankId rank,
                    const std::vector<UpdatePoint>& points)
      : schedule_(schedule),
        rank_(rank),
        points_(points),
        added_(SectionsOf(schedule).size()) {}

  // By section.
  std::vector<Insertions> Find() {
    Walk(/*section=*/0);
    const std::vector<UpdatePoint> after_prologue = waiting_;
    Walk(/*section=*/1);
    waiting_ = after_prologue;
    Walk(/*section=*/2);
    const int end = static_cast<int>(schedule_.epilogue[rank_.value()].size());
    for (const UpdatePoint& point : waiting_) Put(2, end, point);
    return std::move(added_);
  }

 private:
  void Put(int section, int position, const UpdatePoint& point) {
    added_[section].Add(position, UpdateTo(point.stage, point.version));
  }

  void Walk(int section) {
    const std::vector<Action>& actions =
        (*SectionsOf(schedule_)[section])[rank_.value()];
    auto point = std::find_if(
        points_.begin(), points_.end(),
        [&](const UpdatePoint& p) { return p.section >= section; });
    for (int i = 0; i <= static_cast<int>(actions.size()); ++i) {
      for (; point != points_.end() && point->section == section &&
             point->position == i;
           ++point) {
        if (schedule_.placement[point->stage.value()].size() > 1) {
          waiting_.push_back(*point);
        } else {
          Put(section, i, *point);
        }
      }
      if (i == static_cast<int>(actions.size())) break;
      if (actions[i].op != Op::kForward) continue;
      const bool second = i > 0 && actions[i - 1].overlaps_next;
      PutWhatIsRead(section, second ? i - 1 : i, actions[i]);
    }
  }

  // Updates, of those that wait, to all versions up to that which the F reads.
  void PutWhatIsRead(int section, int position, const Action& forward) {
    const VersionRule& rule = schedule_.versions[forward.stage.value()];
    const int64_t read =
        forward.microbatch.value() / rule.microbatches_per_update - rule.delay;
    const auto is_read = [&](const UpdatePoint& point) {
      return point.stage == forward.stage && point.version <= read;
    };
    for (const UpdatePoint& point : waiting_) {
      if (is_read(point)) Put(section, position, point);
    }
    waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), is_read),
                   waiting_.end());
  }

  const Schedule& schedule_;
  const RankId rank_;
  const std::vector<UpdatePoint>& points_;
  std::vector<UpdatePoint> waiting_;
  std::vector<Insertions> added_;
};

void UpdateFlush(Schedule* schedule) {
  for (std::vector<Action>& actions : schedule->ranks) {
    actions.push_back(AgreeNorm());
  }
  for (int stage = 0; stage < schedule->num_stages(); ++stage) {
    for (const RankId rank : schedule->placement[stage]) {
      schedule->ranks[rank.value()].push_back(Update(StageId(stage)));
    }
  }
}

}  // namespace

absl::StatusOr<Schedule> InsertUpdates(Schedule schedule) {
  for (const RankLists* lists : SectionsOf(schedule)) {
    for (size_t rank = 0; rank < lists->size(); ++rank) {
      for (const Action& action : (*lists)[rank]) {
        if (action.op == Op::kAgreeNorm || action.op == Op::kUpdate) {
          return absl::InvalidArgumentError(
              absl::StrCat("schedule ", schedule.name,
                           " has updates already, on rank ", rank));
        }
      }
    }
  }
  PENSTOCK_ASSIGN_OR_RETURN(const auto points, FindUpdatePoints(schedule));
  if (!schedule.is_continuous()) {
    UpdateFlush(&schedule);
    return schedule;
  }
  const std::vector<RankLists*> sections = SectionsOf(schedule);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<Insertions> added =
        ContinuousUpdates(schedule, RankId(rank), points[rank]).Find();
    for (size_t i = 0; i < sections.size(); ++i) {
      std::vector<Action>& actions = (*sections[i])[rank];
      actions = added[i].ApplyTo(actions);
    }
  }
  return schedule;
}

}  // namespace penstock
