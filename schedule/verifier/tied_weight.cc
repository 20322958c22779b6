#include "schedule/verifier/tied_weight.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// One end of one tied weight, on one rank.
class EndCheck {
 public:
  EndCheck(const Subject& subject, RankId rank, int edge, RuleViolations& found)
      : subject_(subject),
        rank_(rank),
        edge_(edge),
        is_owner_(subject.Holds(rank, subject.schedule().edges[edge].from)),
        stage_(is_owner_ ? subject.schedule().edges[edge].from
                         : subject.schedule().edges[edge].to),
        actions_(subject.actions(rank)),
        found_(found) {}

  void Run() {
    if (!is_owner_) FindLastBackwards();
    for (size_t i = 0; i < actions_.size() && !found_.full(); ++i) {
      const Action& action = actions_[i];
      if (action.stage != stage_ || !subject_.IsOwn(rank_, action)) continue;
      if (IsMessage(action)) {
        CheckMessage(i);
      } else if (action.op == Op::kUpdate) {
        CheckUpdate(i);
      } else if (action.op == Op::kReduceGradient) {
        reduced_ = action.version.value_or(0);
      } else if (!is_owner_ && IsCompute(action.op)) {
        CheckRead(i);
      }
    }
    if (is_owner_ || weight_ == updated_) return;
    found_.Add(
        rank_, -1,
        absl::StrCat("version ", weight_ + 1, " of ", Tensor(),
                     " does not come; the stage's newest is ", updated_));
  }

 private:
  const std::string& Tensor() const {
    return subject_.schedule().edges[edge_].tensor;
  }
  bool IsMessage(const Action& action) const {
    return (IsSend(action.op) || IsReceive(action.op)) &&
           action.edge.value() == edge_;
  }
  int64_t UpdateOf(const Action& action) const {
    const VersionRule& rule = subject_.schedule().versions[stage_.value()];
    return action.microbatch.value() / rule.microbatches_per_update + 1;
  }

  void FindLastBackwards() {
    for (size_t i = 0; i < actions_.size(); ++i) {
      const Action& action = actions_[i];
      if (action.stage == stage_ && GivesWeightGradient(action.op) &&
          subject_.IsOwn(rank_, action)) {
        last_backward_[UpdateOf(action)] = i;
      }
    }
  }

  void Fail(size_t position, absl::string_view why) {
    found_.Add(rank_, static_cast<int>(position),
               absl::StrCat(subject_.TextOf(actions_[position]), " ", why));
  }

  void CheckMessage(size_t i) {
    const Action& action = actions_[i];
    if (!action.version) {
      return Fail(i, "names no version; want that of the update");
    }
    const int64_t version = *action.version;
    switch (action.op) {
      case Op::kReceiveBackward:
        // There is one place for it.
        if (version > updated_ + 1) {
          Fail(i, absl::StrCat("comes before ", stage_.value(), "U@",
                               updated_ + 1));
        }
        return Advance(i, version, &gradient_);
      case Op::kSendForward:
        if (version != updated_) {
          Fail(i, absl::StrCat("is not sent right after its update; the newest "
                               "version is ",
                               updated_));
        }
        return;
      case Op::kSendBackward:
        CheckIsWhole(i, version);
        gradient_ = version;
        return;
      default:
        return Advance(i, version, &weight_);
    }
  }

  void Advance(size_t i, int64_t version, int64_t* newest) {
    if (version != *newest + 1) {
      Fail(i, absl::StrCat("comes out of turn, after version ", *newest));
    }
    *newest = version;
  }

  void CheckIsWhole(size_t i, int64_t version) {
    // To several owners it goes as often.
    if (version <= updated_ ||
        (version != gradient_ && version != gradient_ + 1)) {
      Fail(i, absl::StrCat("is out of turn; the stage's newest version is ",
                           updated_));
    }
    for (const auto& [update, last] : last_backward_) {
      if (update > version) break;
      if (last < i) continue;
      return Fail(i, absl::StrCat("comes before the backward ",
                                  subject_.TextOf(actions_[last])));
    }
    if (subject_.IsShared(stage_) && reduced_ < version) {
      Fail(i, absl::StrCat("has no ", stage_.value(), "G@", version,
                           " before it"));
    }
  }

  void CheckUpdate(size_t i) {
    const int64_t version = actions_[i].version.value_or(0);
    if (is_owner_ && gradient_ < version) {
      Fail(i, absl::StrCat("has no ", stage_.value(), "RB*@", version, " of ",
                           Tensor(), " before it"));
    }
    updated_ = version;
  }

  void CheckRead(size_t i) {
    const Action& action = actions_[i];
    if (!action.version) return;
    const int64_t kept =
        int64_t{subject_.schedule().versions[stage_.value()].delay} + 1;
    const int64_t newest = std::max<int64_t>(0, weight_);
    if (*action.version > newest) {
      Fail(i,
           absl::StrCat("reads version ", *action.version, " of ", Tensor(),
                        ", which has not come; the newest there is ", newest));
    } else if (*action.version <= weight_ - kept) {
      Fail(i, absl::StrCat("reads version ", *action.version, " of ", Tensor(),
                           ", whose place version ", weight_, " has taken"));
    }
  }

  const Subject& subject_;
  const RankId rank_;
  const int edge_;
  const bool is_owner_;
  const StageId stage_;
  const std::vector<Action>& actions_;
  RuleViolations& found_;
  // By update: where its last backward stands.
  std::map<int64_t, size_t> last_backward_;
  // Newest versions: that the stage has made, whose gradient has been sent or
  // has come, and of a user, whose weight has come.
  int64_t updated_ = 0;
  int64_t gradient_ = 0;
  int64_t weight_ = -1;
  int64_t reduced_ = 0;
};

void CheckEdge(const Subject& subject, int index, RuleViolations& found) {
  const Schedule& schedule = subject.schedule();
  const Edge& edge = schedule.edges[index];
  if (schedule.versions[edge.from.value()] !=
      schedule.versions[edge.to.value()]) {
    found.Add(
        RankId(-1), -1,
        absl::StrCat(edge.tensor, " ties stages ", edge.from.value(), " and ",
                     edge.to.value(), ", which have other version rules"));
    return;
  }
  for (const RankId rank : subject.ranks()) {
    const bool owns = subject.Holds(rank, edge.from);
    const bool uses = subject.Holds(rank, edge.to);
    if (owns && uses) {
      found.Add(rank, -1,
                absl::StrCat("holds both stages that ", edge.tensor,
                             " ties; want them on different ranks"));
    } else if (owns || uses) {
      EndCheck(subject, rank, index, found).Run();
    }
  }
}

}  // namespace

void CheckTiedWeight(const Subject& subject, std::vector<Violation>* all) {
  const Schedule& schedule = subject.schedule();
  if (!subject.lowered() || !schedule.is_continuous()) return;
  RuleViolations found("tied_weight", all);
  for (int i = 0; i < static_cast<int>(schedule.edges.size()); ++i) {
    if (schedule.edges[i].kind != EdgeKind::kTiedWeight ||
        !subject.IsSound(schedule.edges[i])) {
      continue;
    }
    CheckEdge(subject, i, found);
    if (found.full()) return;
  }
}

}  // namespace penstock
