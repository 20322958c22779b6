#include "schedule/lowering/update_points.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/lowering/holders.h"

namespace penstock {
namespace {

bool GivesWeightGradient(const Action& action) {
  return action.op == Op::kBackward || action.op == Op::kBackwardWeight;
}

// The place after `position`, past the second of a pair.
int PlaceAfter(const std::vector<Action>& actions, int position) {
  const int size = static_cast<int>(actions.size());
  return std::min(size, position + (actions[position].overlaps_next ? 2 : 1));
}

absl::Status CheckPlacement(const Schedule& schedule) {
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
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRules(const Schedule& schedule) {
  if (schedule.versions.size() != schedule.placement.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("schedule ", schedule.name, " is continuous and has ",
                     schedule.versions.size(), " version rules for ",
                     schedule.placement.size(), " stages; want one for each"));
  }
  for (size_t stage = 0; stage < schedule.versions.size(); ++stage) {
    const VersionRule& rule = schedule.versions[stage];
    if (rule.microbatches_per_update < 1 || rule.delay < 0 ||
        schedule.num_microbatches % rule.microbatches_per_update != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "stage ", stage, " updates every ", rule.microbatches_per_update,
          " microbatches with delay ", rule.delay,
          "; want a number that divides the period's ",
          schedule.num_microbatches, ", and at least 0"));
    }
  }
  for (const RankLists* lists : SectionsOf(schedule)) {
    if (lists->size() != schedule.ranks.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "schedule ", schedule.name, " has lists of ", schedule.ranks.size(),
          " and of ", lists->size(),
          " ranks; want as many in prologue, period and epilogue"));
    }
  }
  return absl::OkStatus();
}

std::vector<std::vector<UpdatePoint>> PointsOfFlush(const Schedule& schedule) {
  std::vector<std::vector<UpdatePoint>> points(schedule.num_ranks());
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    for (const RankId rank : schedule.placement[stage]) {
      const int end = static_cast<int>(schedule.ranks[rank.value()].size());
      points[rank.value()].push_back(
          {.position = end, .stage = StageId(stage)});
    }
  }
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const std::vector<Action>& actions = schedule.ranks[rank];
    std::map<StageId, int> last;
    for (int i = 0; i < static_cast<int>(actions.size()); ++i) {
      if (GivesWeightGradient(actions[i])) {
        last[actions[i].stage] = PlaceAfter(actions, i);
      }
    }
    for (UpdatePoint& point : points[rank]) {
      const auto found = last.find(point.stage);
      if (found != last.end()) point.position = found->second;
    }
    std::stable_sort(points[rank].begin(), points[rank].end(),
                     [](const UpdatePoint& a, const UpdatePoint& b) {
                       return a.position < b.position;
                     });
  }
  return points;
}

// How far a rank's gradients of one stage have come.
struct StageProgress {
  // Of an update, by its number modulo those of a period: the halves of
  // microbatches that the rank contributes.
  std::vector<int> wanted;
  int64_t next_update = 0;
  // By update, those that are not whole.
  std::map<int64_t, int> done;
};

using Progress = std::map<StageId, StageProgress>;

// The updates of one rank of a continuous schedule.
class ContinuousPoints {
 public:
  ContinuousPoints(const Schedule& schedule, const Holders& holders,
                   RankId rank)
      : schedule_(schedule), holders_(holders), rank_(rank) {}

  absl::StatusOr<std::vector<UpdatePoint>> Find() {
    PENSTOCK_ASSIGN_OR_RETURN(Progress progress, Start());
    for (auto& [stage, of_stage] : progress) Close({0, 0, stage}, &of_stage);
    Walk(/*section=*/0, &progress);
    Progress in_period = progress;
    Walk(/*section=*/1, &in_period);
    Walk(/*section=*/2, &progress);
    CloseAll(&progress);
    return std::move(points_);
  }

 private:
  int64_t UpdateOf(StageId stage, int microbatch) const {
    return microbatch / RuleOf(stage).microbatches_per_update;
  }
  const VersionRule& RuleOf(StageId stage) const {
    return schedule_.versions[stage.value()];
  }

  absl::StatusOr<Progress> Start() const {
    Progress progress;
    for (int s = 0; s < schedule_.num_stages(); ++s) {
      const StageId stage(s);
      const std::vector<RankId>& ranks = schedule_.placement[s];
      if (std::find(ranks.begin(), ranks.end(), rank_) == ranks.end()) continue;
      StageProgress& of_stage = progress[stage];
      const int per_update = RuleOf(stage).microbatches_per_update;
      of_stage.wanted.resize(schedule_.num_microbatches / per_update);
      int all = 0;
      for (int b = 0; b < schedule_.num_microbatches; ++b) {
        if (holders_.HolderOf(stage, b) != rank_) continue;
        of_stage.wanted[b / per_update] += 2;
        ++all;
      }
      if (all == 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("rank ", rank_.value(), " holds stage ", s,
                         " and runs none of its microbatches"));
      }
    }
    return progress;
  }

  // Ends the updates that are whole, the rank having come to `at`.
  void Close(UpdatePoint at, StageProgress* progress) {
    const int64_t updates = static_cast<int64_t>(progress->wanted.size());
    while (progress->done[progress->next_update] >=
           progress->wanted[progress->next_update % updates]) {
      CloseNext(at, progress);
    }
  }

  void CloseNext(UpdatePoint at, StageProgress* progress) {
    progress->done.erase(progress->next_update);
    at.version = ++progress->next_update;
    points_.push_back(at);
  }

  void Walk(int section, Progress* progress) {
    const std::vector<Action>& actions =
        (*SectionsOf(schedule_)[section])[rank_.value()];
    for (int i = 0; i < static_cast<int>(actions.size()); ++i) {
      if (!GivesWeightGradient(actions[i])) continue;
      const auto of_stage = progress->find(actions[i].stage);
      if (of_stage == progress->end()) continue;
      of_stage->second
          .done[UpdateOf(actions[i].stage, actions[i].microbatch.value())] +=
          actions[i].half == Half::kWhole ? 2 : 1;
      Close({section, PlaceAfter(actions, i), actions[i].stage},
            &of_stage->second);
    }
  }

  // What the run, of no period, leaves to update at its end.
  void CloseAll(Progress* progress) {
    const int end = static_cast<int>(schedule_.epilogue[rank_.value()].size());
    for (auto& [stage, of_stage] : *progress) {
      const int microbatch = LastMicrobatchOf(stage);
      if (microbatch < 0) continue;
      const int64_t last = UpdateOf(stage, microbatch);
      while (of_stage.next_update <= last) {
        CloseNext({2, end, stage}, &of_stage);
      }
    }
  }

  int LastMicrobatchOf(StageId stage) const {
    int last = -1;
    for (const RankLists* lists : {&schedule_.ranks, &schedule_.epilogue}) {
      for (const RankId holder : schedule_.placement[stage.value()]) {
        for (const Action& action : (*lists)[holder.value()]) {
          if (action.op != Op::kForward || action.stage != stage) continue;
          last = std::max(
              last, action.microbatch.value() + action.num_microbatches - 1);
        }
      }
    }
    return last;
  }

  const Schedule& schedule_;
  const Holders& holders_;
  const RankId rank_;
  std::vector<UpdatePoint> points_;
};

}  // namespace

absl::StatusOr<std::vector<std::vector<UpdatePoint>>> FindUpdatePoints(
    const Schedule& schedule) {
  PENSTOCK_RETURN_IF_ERROR(CheckPlacement(schedule));
  if (!schedule.is_continuous()) return PointsOfFlush(schedule);
  PENSTOCK_RETURN_IF_ERROR(CheckRules(schedule));
  PENSTOCK_ASSIGN_OR_RETURN(const Holders holders, Holders::Of(schedule));
  std::vector<std::vector<UpdatePoint>> points;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    PENSTOCK_ASSIGN_OR_RETURN(
        points.emplace_back(),
        ContinuousPoints(schedule, holders, RankId(rank)).Find());
  }
  return points;
}

std::vector<Action> Insertions::ApplyTo(const std::vector<Action>& actions) {
  std::stable_sort(added_.begin(), added_.end(),
                   [](const Insertion& a, const Insertion& b) {
                     return a.position < b.position;
                   });
  std::vector<Action> out;
  out.reserve(actions.size() + added_.size());
  size_t next = 0;
  for (size_t i = 0; i <= actions.size(); ++i) {
    for (; next < added_.size() && added_[next].position == static_cast<int>(i);
         ++next) {
      out.push_back(added_[next].action);
    }
    if (i < actions.size()) out.push_back(actions[i]);
  }
  return out;
}

}  // namespace penstock
