#include "schedule/verifier/weight_version.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// One rank's list of a continuous schedule.
class VersionCheck {
 public:
  VersionCheck(const Subject& subject, RankId rank, RuleViolations& found)
      : subject_(subject),
        rank_(rank),
        actions_(subject.actions(rank)),
        found_(found) {}

  void Run() {
    for (size_t i = 0; i < actions_.size() && !found_.full(); ++i) {
      if (!subject_.IsOwn(rank_, actions_[i])) continue;
      if (IsCompute(actions_[i].op)) {
        CheckRead(i);
      } else if (actions_[i].op == Op::kUpdate) {
        CheckUpdate(i);
      } else if (actions_[i].op == Op::kReduceGradient &&
                 !actions_[i].version) {
        Fail(i, "names no version; want the one that its update makes");
      }
    }
  }

 private:
  void Fail(size_t position, absl::string_view why) {
    found_.Add(rank_, static_cast<int>(position),
               absl::StrCat(subject_.TextOf(actions_[position]), " ", why));
  }

  void CheckRead(size_t i) {
    const Action& action = actions_[i];
    if (!action.version) {
      if (subject_.lowered()) Fail(i, "names no version");
      return;
    }
    if (action.op != Op::kForward) CheckAgainstForward(i);
    if (!subject_.lowered()) return;
    const int64_t newest = NewestOf(action.stage);
    const int64_t kept =
        int64_t{subject_.schedule().versions[action.stage.value()].delay} + 1;
    if (*action.version > newest) {
      Fail(i, absl::StrCat("reads a version that no update before it makes; "
                           "the newest there is ",
                           newest));
    } else if (*action.version <= newest - kept) {
      Fail(i, absl::StrCat("reads a version that is gone: the newest is ",
                           newest, " and the stage keeps ", kept));
    }
  }

  void CheckAgainstForward(size_t i) {
    const Action& action = actions_[i];
    const int forward =
        subject_.CellOf(action.stage, action.microbatch.value()).forward;
    if (forward < 0 || actions_[forward].version == action.version) return;
    Fail(i, absl::StrCat("reads another version than ",
                         subject_.TextOf(actions_[forward])));
  }

  void CheckUpdate(size_t i) {
    const Action& action = actions_[i];
    if (action.version) {
      newest_[action.stage] = *action.version;
    } else {
      Fail(i, "names no version; want the one that it makes");
    }
  }

  int64_t NewestOf(StageId stage) const {
    const auto it = newest_.find(stage);
    return it == newest_.end() ? 0 : it->second;
  }

  const Subject& subject_;
  const RankId rank_;
  const std::vector<Action>& actions_;
  RuleViolations& found_;
  std::map<StageId, int64_t> newest_;
};

void CheckFlush(const Subject& subject, RankId rank, RuleViolations& found) {
  const std::vector<Action>& actions = subject.actions(rank);
  for (size_t i = 0; i < actions.size() && !found.full(); ++i) {
    const Op op = actions[i].op;
    const bool moves = IsSend(op) || IsReceive(op);
    const int64_t only = IsCompute(op) ? 0 : 1;
    if (!actions[i].version || (!moves && *actions[i].version == only)) {
      continue;
    }
    found.Add(rank, static_cast<int>(i),
              absl::StrCat(subject.TextOf(actions[i]),
                           ": a flush leaves one version; want none named"));
  }
}

}  // namespace

void CheckWeightVersion(const Subject& subject, std::vector<Violation>* all) {
  RuleViolations found("weight_version", all);
  for (const RankId rank : subject.ranks()) {
    if (subject.schedule().is_continuous()) {
      VersionCheck(subject, rank, found).Run();
    } else {
      CheckFlush(subject, rank, found);
    }
  }
}

}  // namespace penstock
