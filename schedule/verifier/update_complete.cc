#include "schedule/verifier/update_complete.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// How far one stage's updates have come on one rank.
struct StageUpdates {
  int64_t updated = 0;
  int64_t reduced = 0;
  // Halves of microbatches in the sum so far, of the update that is due and of
  // others.
  int64_t due = 0;
  int64_t others = 0;
  // Of the latest of the others.
  int other = -1;
};

// One rank's list.
class UpdateCheck {
 public:
  UpdateCheck(const Subject& subject, RankId rank, RuleViolations& found)
      : subject_(subject),
        rank_(rank),
        actions_(subject.actions(rank)),
        found_(found) {}

  void Run() {
    for (size_t i = 0; i < actions_.size() && !found_.full(); ++i) {
      const Action& action = actions_[i];
      if (!subject_.IsOwn(rank_, action)) continue;
      if (GivesWeightGradient(action.op)) {
        Add(i);
      } else if (action.op == Op::kReduceGradient) {
        CheckReduction(i);
      } else if (action.op == Op::kUpdate) {
        CheckUpdate(i);
      }
    }
    for (int s = 0; s < subject_.schedule().num_stages(); ++s) {
      if (found_.full()) return;
      if (subject_.Holds(rank_, StageId(s))) CheckEnd(StageId(s));
    }
  }

 private:
  void Fail(size_t position, absl::string_view why) {
    found_.Add(rank_, static_cast<int>(position),
               absl::StrCat(subject_.TextOf(actions_[position]), " ", why));
  }

  int64_t PerUpdate(StageId stage) const {
    return subject_.schedule().versions[stage.value()].microbatches_per_update;
  }
  // Ended sums, each of which makes a version.
  int64_t& Ended(StageId stage) {
    StageUpdates& updates = stages_[stage];
    return subject_.IsShared(stage) ? updates.reduced : updates.updated;
  }

  void Add(size_t i) {
    const Action& action = actions_[i];
    StageUpdates& updates = stages_[action.stage];
    const int64_t update = action.microbatch.value() / PerUpdate(action.stage);
    const int halves = action.half == Half::kWhole ? 2 : 1;
    if (update == Ended(action.stage)) {
      updates.due += halves;
    } else {
      updates.others += halves;
      updates.other = static_cast<int>(i);
    }
  }

  // The halves that this rank has to contribute to an update.
  int64_t Wanted(StageId stage, int64_t update) const {
    const int64_t first = update * PerUpdate(stage);
    const int64_t end = std::min<int64_t>(subject_.schedule().num_microbatches,
                                          first + PerUpdate(stage));
    int64_t wanted = 0;
    for (int64_t b = first; b < end; ++b) {
      if (subject_.HolderOf(stage, static_cast<int>(b)) == rank_) wanted += 2;
    }
    return wanted;
  }

  // The sum ends here, for the version that the action makes.
  void EndSum(size_t i) {
    const StageId stage = actions_[i].stage;
    StageUpdates& updates = stages_[stage];
    if (updates.others > 0) {
      Fail(i, absl::StrCat("sums ", subject_.TextOf(actions_[updates.other]),
                           " too, which does not count for it"));
    }
    const int64_t wanted = Wanted(stage, Ended(stage));
    if (updates.due != wanted) {
      Fail(i, absl::StrCat("sums ", updates.due / 2.0,
                           " of its microbatches, want ", wanted / 2.0));
    }
    updates.due = 0;
    updates.others = 0;
  }

  // Whether the action makes the version after `done`.
  bool IsNext(size_t i, int64_t done) {
    const int64_t version = actions_[i].version.value_or(done + 1);
    if (version == done + 1) return true;
    Fail(i, absl::StrCat("comes after version ", done, "; want ", done + 1));
    return false;
  }

  void CheckReduction(size_t i) {
    const StageId stage = actions_[i].stage;
    if (!subject_.IsShared(stage)) {
      return Fail(i, "reduces a stage that is on this rank alone");
    }
    if (!IsNext(i, stages_[stage].reduced)) return;
    EndSum(i);
    ++stages_[stage].reduced;
  }

  void CheckUpdate(size_t i) {
    const StageId stage = actions_[i].stage;
    StageUpdates& updates = stages_[stage];
    if (!IsNext(i, updates.updated)) return;
    if (!subject_.IsShared(stage)) {
      EndSum(i);
    } else if (updates.reduced <= updates.updated) {
      Fail(i, "has no G of its version before it");
    }
    ++updates.updated;
  }

  void CheckEnd(StageId stage) {
    const int64_t last =
        (subject_.schedule().num_microbatches + PerUpdate(stage) - 1) /
        PerUpdate(stage);
    const StageUpdates& updates = stages_[stage];
    Action missing = Update(stage);
    missing.version = updates.updated + 1;
    if (updates.updated < last) {
      found_.Add(rank_, -1, absl::StrCat(ToString(missing), " is missing"));
    } else if (updates.updated > last) {
      found_.Add(
          rank_, -1,
          absl::StrCat("stage ", stage.value(), " is updated to version ",
                       updates.updated, "; its microbatches make ", last));
    }
    if (!subject_.IsShared(stage) || updates.reduced == updates.updated) return;
    missing.op = Op::kReduceGradient;
    missing.version = updates.reduced + 1;
    if (updates.reduced < updates.updated) {
      found_.Add(rank_, -1, absl::StrCat(ToString(missing), " is missing"));
    } else {
      found_.Add(
          rank_, -1,
          absl::StrCat("stage ", stage.value(), " is reduced ", updates.reduced,
                       " times and updated ", updates.updated, " times"));
    }
  }

  const Subject& subject_;
  const RankId rank_;
  const std::vector<Action>& actions_;
  RuleViolations& found_;
  std::map<StageId, StageUpdates> stages_;
};

}  // namespace

void CheckUpdateComplete(const Subject& subject, std::vector<Violation>* all) {
  if (!subject.lowered() || !subject.schedule().is_continuous()) return;
  // More microbatches than actions: the rule "complete" tells a hundred that
  // are missing, and the others would have to be counted.
  if (static_cast<size_t>(subject.schedule().num_microbatches) >
      subject.num_actions()) {
    return;
  }
  RuleViolations found("update_complete", all);
  for (const RankId rank : subject.ranks()) {
    UpdateCheck(subject, rank, found).Run();
  }
}

}  // namespace penstock
