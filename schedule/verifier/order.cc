#include "schedule/verifier/order.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// Edges inside one rank: between which stages.
struct LocalEdges {
  absl::flat_hash_map<int, std::vector<StageId>> feeders, takers;
};

LocalEdges FindLocalEdges(const Subject& subject) {
  LocalEdges local;
  for (const Edge& edge : subject.schedule().edges) {
    if (edge.kind != EdgeKind::kActivation || !subject.IsSound(edge)) continue;
    const std::optional<RankId> from = subject.OnlyRankOf(edge.from);
    if (!from || from != subject.OnlyRankOf(edge.to)) continue;
    local.feeders[edge.to.value()].push_back(edge.from);
    local.takers[edge.from.value()].push_back(edge.to);
  }
  return local;
}

// One rank's list.
class OrderCheck {
 public:
  OrderCheck(const Subject& subject, const LocalEdges& local, RankId rank,
             RuleViolations& found)
      : subject_(subject),
        local_(local),
        rank_(rank),
        actions_(subject.actions(rank)),
        found_(found) {}

  void Run() {
    const int size = static_cast<int>(actions_.size());
    first_.reserve(actions_.size());
    for (int i = 0; i < size; ++i) {
      const Action& a = actions_[i];
      if (!subject_.IsPlaced(rank_, a)) continue;
      const Op op = a.op == Op::kBackwardInput ? Op::kBackward : a.op;
      first_.insert({KeyOf(op, a.stage, a.microbatch, a.edge), i});
      if (a.op == Op::kAgreeNorm && norm_ < 0) norm_ = i;
      if (IsBackward(a.op)) {
        int& last = last_backward_.insert({a.stage.value(), i}).first->second;
        last = i;
        last_of_all_ = i;
      }
    }
    for (int i = 0; i < size && !found_.full(); ++i) {
      if (subject_.IsPlaced(rank_, actions_[i])) CheckAction(i);
    }
  }

 private:
  using Key = std::tuple<Op, int, int, int>;
  static Key KeyOf(Op op, StageId stage, MicrobatchId microbatch,
                   EdgeId edge = EdgeId()) {
    return {op, stage.value(), microbatch.value(), edge.value()};
  }

  // Where the first such action is; -1 if nowhere. B stands for B and I.
  int Find(Op op, StageId stage, MicrobatchId microbatch,
           EdgeId edge = EdgeId()) const {
    const auto it = first_.find(KeyOf(op, stage, microbatch, edge));
    return it == first_.end() ? -1 : it->second;
  }

  void Fail(int position, absl::string_view why) {
    found_.Add(rank_, position,
               absl::StrCat(subject_.TextOf(actions_[position]), " ", why));
  }

  // The action at `position` needs one at `other` (-1: none) before it.
  void NeedBefore(int position, int other, absl::string_view what) {
    if (other < 0 || other > position) {
      Fail(position, absl::StrCat("has no ", what, " before it"));
    }
  }

  // The action at `position` must not come after `other`, if that is there.
  void NeedNotAfter(int position, int other) {
    if (other >= 0 && other < position) {
      Fail(position,
           absl::StrCat("comes after ", subject_.TextOf(actions_[other]),
                        ", which needs it"));
    }
  }

  std::string Text(Op op, const Action& of, StageId stage) const {
    return absl::StrCat(stage.value(), ToString(op), of.microbatch.value());
  }

  void NeedCompute(int position, Op op, StageId stage) {
    const Action& action = actions_[position];
    NeedBefore(position, Find(op, stage, action.microbatch),
               Text(op, action, stage));
  }

  void CheckAction(int i) {
    const Action& action = actions_[i];
    if (IsCompute(action.op)) return CheckCompute(i);
    if (IsSend(action.op) || IsReceive(action.op)) {
      return action.microbatch == kWholeStep ? CheckTied(i)
                                             : CheckActivation(i);
    }
    if (action.op == Op::kAgreeNorm) {
      NeedNotBeforeLast(i, last_of_all_);
    } else if (action.op == Op::kUpdate) {
      NeedBefore(i, norm_, "N");
    } else {  // G
      NeedNotBeforeLast(i, LastBackwardOf(action.stage));
      NeedNotAfter(i, norm_);
    }
  }

  int LastBackwardOf(StageId stage) const {
    const auto it = last_backward_.find(stage.value());
    return it == last_backward_.end() ? -1 : it->second;
  }

  void NeedNotBeforeLast(int position, int last) {
    if (last > position) {
      Fail(position, absl::StrCat("comes before the backward ",
                                  subject_.TextOf(actions_[last])));
    }
  }

  void CheckCompute(int i) {
    const Action& action = actions_[i];
    const StageId stage = action.stage;
    switch (action.op) {
      case Op::kForward:
        CheckNeighbours(i, Op::kForward, local_.feeders);
        return;
      case Op::kBackwardWeight:
        NeedCompute(i, Op::kBackward, stage);
        return;
      case Op::kRecompute:
        NeedCompute(i, Op::kForward, stage);
        NeedNotAfter(i, Find(Op::kBackward, stage, action.microbatch));
        return;
      default:
        NeedCompute(i, Op::kForward, stage);
        CheckNeighbours(i, Op::kBackward, local_.takers);
    }
  }

  void CheckNeighbours(
      int i, Op op,
      const absl::flat_hash_map<int, std::vector<StageId>>& neighbours) {
    const auto it = neighbours.find(actions_[i].stage.value());
    if (it == neighbours.end()) return;
    for (const StageId stage : it->second) NeedCompute(i, op, stage);
  }

  void CheckActivation(int i) {
    const Action& action = actions_[i];
    const bool forward =
        action.op == Op::kSendForward || action.op == Op::kReceiveForward;
    const Op compute = forward ? Op::kForward : Op::kBackward;
    if (IsSend(action.op)) {
      NeedCompute(i, compute, action.stage);
    } else {
      NeedNotAfter(i, Find(compute, action.stage, action.microbatch));
    }
  }

  void CheckTied(int i) {
    const Action& action = actions_[i];
    switch (action.op) {
      case Op::kSendBackward:
        NeedNotBeforeLast(i, LastBackwardOf(action.stage));
        return;
      case Op::kReceiveBackward:
        NeedNotAfter(i, norm_);
        return;
      default:
        NeedBefore(i, Find(Op::kUpdate, action.stage, MicrobatchId()),
                   absl::StrCat(action.stage.value(), "U"));
    }
  }

  const Subject& subject_;
  const LocalEdges& local_;
  const RankId rank_;
  const std::vector<Action>& actions_;
  RuleViolations& found_;
  absl::flat_hash_map<Key, int> first_;
  absl::flat_hash_map<int, int> last_backward_;
  int last_of_all_ = -1;
  int norm_ = -1;
};

}  // namespace

void CheckOrder(const Subject& subject, std::vector<Violation>* all) {
  RuleViolations found("order", all);
  const LocalEdges local = FindLocalEdges(subject);
  for (const RankId rank : subject.ranks()) {
    OrderCheck(subject, local, rank, found).Run();
  }
}

}  // namespace penstock
