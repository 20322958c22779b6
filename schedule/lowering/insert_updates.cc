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
      const bool second = i > 0 && actions[i - 1].overlaps_next;
      const int position = second ? i - 1 : i;
      const StageId stage = actions[i].stage;
      if (actions[i].op == Op::kForward) {
        PutUpTo(section, position, stage, ReadBy(actions[i]));
      } else if (section == 2 && (actions[i].op == Op::kBackward ||
                                  actions[i].op == Op::kBackwardWeight)) {
        PutBefore(position, stage, LastRead(actions, i, stage));
      }
    }
  }

  const VersionRule& RuleOf(StageId stage) const {
    return schedule_.versions[stage.value()];
  }
  // Negative where there is no such version yet.
  int64_t ReadBy(const Action& forward) const {
    const VersionRule& rule = RuleOf(forward.stage);
    return forward.microbatch.value() / rule.microbatches_per_update -
           rule.delay;
  }
  // The latest version that an F from `begin` on reads.
  int64_t LastRead(const std::vector<Action>& actions, int begin,
                   StageId stage) const {
    int64_t read = 0;
    for (size_t i = begin; i < actions.size(); ++i) {
      if (actions[i].op != Op::kForward || actions[i].stage != stage) continue;
      read = std::max(read, ReadBy(actions[i]));
    }
    return read;
  }
  // The period, from 1, whose last microbatches the update absorbs.
  int64_t PeriodOf(const UpdatePoint& point) const {
    const int64_t m = schedule_.num_microbatches;
    return (point.version * RuleOf(point.stage).microbatches_per_update + m -
            1) /
           m;
  }

  // Updates, of those that wait, of the stage up to the version; before them,
  // those of the rank's other stages that are of earlier periods, so that
  // updates of one period come before those of the next.
  void PutUpTo(int section, int position, StageId stage, int64_t version) {
    const auto is_read = [&](const UpdatePoint& point) {
      return point.stage == stage && point.version <= version;
    };
    int64_t period = 0;
    for (const UpdatePoint& point : waiting_) {
      if (is_read(point)) period = std::max(period, PeriodOf(point));
    }
    PutAll(section, position, [&](const UpdatePoint& point) {
      return is_read(point) || PeriodOf(point) < period;
    });
  }

  // In the epilogue, before a backward: updates of the stage to versions that
  // nobody reads any more, after `last_read`. They need not wait for longer,
  // and the backward would want memory for another gradient.
  void PutBefore(int position, StageId stage, int64_t last_read) {
    PutAll(2, position, [&](const UpdatePoint& point) {
      return point.stage == stage && point.version > last_read;
    });
  }

  template <typename Predicate>
  void PutAll(int section, int position, const Predicate& is_due) {
    for (const UpdatePoint& point : waiting_) {
      if (is_due(point)) Put(section, position, point);
    }
    waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), is_due),
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
