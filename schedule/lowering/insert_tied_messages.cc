#include "schedule/lowering/insert_tied_messages.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/lowering/holders.h"
#include "schedule/lowering/tied_weights.h"
#include "schedule/lowering/update_points.h"

namespace penstock {
namespace {

absl::Status CheckEdge(const Schedule& schedule, int index) {
  const Edge& edge = schedule.edges[index];
  const std::string what =
      absl::StrCat("edge ", index, " (", edge.tensor, ") ties stage ",
                   edge.to.value(), " to stage ", edge.from.value());
  for (const StageId stage : {edge.from, edge.to}) {
    if (0 <= stage.value() && stage.value() < schedule.num_stages()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(what, " of ", schedule.num_stages()));
  }
  if (schedule.versions[edge.from.value()] !=
      schedule.versions[edge.to.value()]) {
    return absl::InvalidArgumentError(absl::StrCat(
        what,
        ", whose microbatches read other versions; a continuous schedule ties "
        "only stages of one version rule"));
  }
  const std::vector<RankId>& owners = schedule.placement[edge.from.value()];
  for (const RankId rank : schedule.placement[edge.to.value()]) {
    if (std::find(owners.begin(), owners.end(), rank) == owners.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(what, ", and rank ", rank.value(),
                     " holds both; a continuous schedule ties them only within "
                     "a stage or between ranks"));
  }
  return absl::OkStatus();
}

// One rank's lists.
class RankMessages {
 public:
  RankMessages(const Schedule& schedule, RankId rank, const TiedEnds& ends)
      : schedule_(schedule),
        rank_(rank),
        ends_(ends),
        next_(ends.weights_in.size()),
        added_(SectionsOf(schedule).size()) {}

  // By section.
  std::vector<Insertions> Find() {
    for (const TiedEnd& end : ends_.weights_out) {
      Put(/*section=*/0, /*position=*/0, Op::kSendForward, end, /*version=*/0);
    }
    Walk(/*section=*/0);
    const std::vector<int64_t> after_prologue = next_;
    Walk(/*section=*/1);
    next_ = after_prologue;
    Walk(/*section=*/2);
    TakeTheRest();
    return std::move(added_);
  }

 private:
  void Put(int section, size_t position, Op op, const TiedEnd& end,
           int64_t version) {
    Action message = Communicate(op, end.stage, kWholeStep, end.edge, end.peer);
    message.version = static_cast<int32_t>(version);
    added_[section].Add(static_cast<int>(position), message);
  }

  void PutAll(int section, size_t position, Op op,
              const std::vector<TiedEnd>& ends, const Action& update) {
    for (const TiedEnd& end : ends) {
      if (end.stage != update.stage) continue;
      Put(section, position, op, end, update.version.value_or(0));
    }
  }

  void Walk(int section) {
    const std::vector<Action>& actions =
        (*SectionsOf(schedule_)[section])[rank_.value()];
    for (size_t i = 0; i < actions.size(); ++i) {
      const Action& action = actions[i];
      if (action.op == Op::kForward) {
        const VersionRule& rule = schedule_.versions[action.stage.value()];
        const int last =
            action.microbatch.value() + action.num_microbatches - 1;
        TakeUpTo(section, i, action.stage,
                 last / rule.microbatches_per_update - rule.delay);
      } else if (action.op == Op::kReduceGradient) {
        PutAll(section, i + 1, Op::kSendBackward, ends_.gradients_out, action);
      } else if (action.op == Op::kUpdate) {
        if (schedule_.placement[action.stage.value()].size() == 1) {
          PutAll(section, i, Op::kSendBackward, ends_.gradients_out, action);
        }
        PutAll(section, i, Op::kReceiveBackward, ends_.gradients_in, action);
        PutAll(section, i + 1, Op::kSendForward, ends_.weights_out, action);
      }
    }
  }

  // Versions of what the stage uses that have not come yet.
  void TakeUpTo(int section, size_t position, StageId stage, int64_t version) {
    for (size_t i = 0; i < next_.size(); ++i) {
      if (ends_.weights_in[i].stage != stage) continue;
      for (; next_[i] <= version; ++next_[i]) {
        Put(section, position, Op::kReceiveForward, ends_.weights_in[i],
            next_[i]);
      }
    }
  }

  // Those that nobody reads before the run is drained.
  void TakeTheRest() {
    const std::vector<Action>& epilogue = schedule_.epilogue[rank_.value()];
    for (const auto* const actions :
         {&schedule_.ranks[rank_.value()], &epilogue}) {
      for (const Action& action : *actions) {
        if (action.op != Op::kUpdate) continue;
        TakeUpTo(2, epilogue.size(), action.stage, action.version.value_or(0));
      }
    }
  }

  const Schedule& schedule_;
  const RankId rank_;
  const TiedEnds& ends_;
  // By index in `ends_.weights_in`: the version that comes next.
  std::vector<int64_t> next_;
  std::vector<Insertions> added_;
};

}  // namespace

absl::StatusOr<Schedule> InsertTiedMessages(Schedule schedule) {
  if (!schedule.is_continuous()) return schedule;
  for (int i = 0; i < static_cast<int>(schedule.edges.size()); ++i) {
    if (schedule.edges[i].kind != EdgeKind::kTiedWeight) continue;
    PENSTOCK_RETURN_IF_ERROR(CheckEdge(schedule, i));
  }
  const std::vector<TiedEnds> ends = TiedEndsByRank(schedule);
  const std::vector<RankLists*> sections = SectionsOf(schedule);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<Insertions> added =
        RankMessages(schedule, RankId(rank), ends[rank]).Find();
    for (size_t i = 0; i < sections.size(); ++i) {
      std::vector<Action>& actions = (*sections[i])[rank];
      actions = added[i].ApplyTo(actions);
    }
  }
  return schedule;
}

}  // namespace penstock
