#include "schedule/verifier/order.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// What a rank's list holds of one stage beside its cells.
struct StagePlaces {
  int last_backward = -1;
  int reduce = -1;
  int update = -1;
};

// One rank's list.
class OrderCheck {
 public:
  OrderCheck(const Subject& subject, RankId rank, RuleViolations& found)
      : subject_(subject),
        rank_(rank),
        actions_(subject.actions(rank)),
        found_(found) {}

  void Run() {
    const int size = static_cast<int>(actions_.size());
    for (int i = 0; i < size; ++i) {
      if (subject_.IsOwn(rank_, actions_[i])) Note(i);
    }
    for (int i = 0; i < size && !found_.full(); ++i) {
      if (subject_.IsOwn(rank_, actions_[i])) CheckAction(i);
    }
  }

 private:
  void Note(int i) {
    const Action& action = actions_[i];
    if (action.op == Op::kAgreeNorm) {
      if (norm_ < 0) norm_ = i;
    } else if (IsBackward(action.op)) {
      stages_[action.stage.value()].last_backward = i;
      last_of_all_ = i;
    } else if (action.op == Op::kReduceGradient) {
      int& reduce = stages_[action.stage.value()].reduce;
      if (reduce < 0) reduce = i;
    } else if (action.op == Op::kUpdate) {
      int& update = stages_[action.stage.value()].update;
      if (update < 0) update = i;
    }
  }

  StagePlaces PlacesOf(StageId stage) const {
    const auto it = stages_.find(stage.value());
    return it == stages_.end() ? StagePlaces() : it->second;
  }

  void Fail(int position, absl::string_view why) {
    found_.Add(rank_, position,
               absl::StrCat(subject_.TextOf(actions_[position]), " ", why));
  }

  // The action at `position` needs what `what` tells, at `other` (-1: nowhere),
  // before it.
  template <typename What>
  void NeedBefore(int position, int other, What what) {
    if (other < 0 || other > position) {
      Fail(position, absl::StrCat("has no ", what(), " before it"));
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

  void NeedNotBeforeLast(int position, int last) {
    if (last > position) {
      Fail(position, absl::StrCat("comes before the backward ",
                                  subject_.TextOf(actions_[last])));
    }
  }

  // F of `stage` on `microbatch`, on this rank.
  void NeedForward(int i, StageId stage, int microbatch) {
    NeedBefore(i, subject_.CellOf(stage, microbatch).forward,
               [&] { return absl::StrCat(stage.value(), "F", microbatch); });
  }

  // B or I of `stage`, on this rank: those halves that the action is of.
  void NeedBackward(int i, StageId stage) {
    const Action& action = actions_[i];
    const int microbatch = action.microbatch.value();
    const HalfRange halves(action.half);
    const Cell& cell = subject_.CellOf(stage, microbatch);
    int last = cell.backward[halves.first];
    if (last >= 0 && halves.end - halves.first == 2) {
      last = cell.backward[1] < 0 ? -1 : std::max(last, cell.backward[1]);
    }
    NeedBefore(i, last,
               [&] { return absl::StrCat(stage.value(), "B", microbatch); });
  }

  void CheckAction(int i) {
    const Action& action = actions_[i];
    if (IsCompute(action.op)) {
      CheckCompute(i);
      if (action.overlaps_next) CheckPair(i);
    } else if (IsSend(action.op) || IsReceive(action.op)) {
      if (action.microbatch != kWholeStep) return CheckActivation(i);
      if (!subject_.schedule().is_continuous()) CheckTied(i);
      return;
    }
    if (subject_.schedule().is_continuous()) return;
    if (action.op == Op::kAgreeNorm) {
      NeedNotBeforeLast(i, last_of_all_);
    } else if (action.op == Op::kUpdate) {
      NeedBefore(i, norm_, [] { return "N"; });
    } else if (action.op == Op::kReduceGradient) {
      NeedNotBeforeLast(i, PlacesOf(action.stage).last_backward);
      NeedNotAfter(i, norm_);
    }
  }

  void CheckCompute(int i) {
    const Action& action = actions_[i];
    const StageId stage = action.stage;
    const int first = action.microbatch.value();
    switch (action.op) {
      case Op::kForward:
        for (int b = first; b < first + action.num_microbatches; ++b) {
          for (const StageEdge& edge : subject_.takes(stage)) {
            if (subject_.HolderOf(edge.other, b) != rank_) continue;
            NeedForward(i, edge.other, b);
          }
        }
        return;
      case Op::kBackwardWeight:
        NeedBackward(i, stage);
        return;
      case Op::kRecompute:
        NeedForward(i, stage, first);
        for (const int backward : subject_.CellOf(stage, first).backward) {
          if (backward < 0 || backward > i) continue;
          NeedNotAfter(i, backward);
          return;
        }
        return;
      default:
        NeedForward(i, stage, first);
        for (const StageEdge& edge : subject_.makes(stage)) {
          if (subject_.HolderOf(edge.other, first) != rank_) continue;
          NeedBackward(i, edge.other);
        }
    }
  }

  void CheckActivation(int i) {
    const Action& action = actions_[i];
    const int microbatch = action.microbatch.value();
    const Cell& cell = subject_.CellOf(action.stage, microbatch);
    switch (action.op) {
      case Op::kSendForward:
        return NeedForward(i, action.stage, microbatch);
      case Op::kReceiveForward:
        return NeedNotAfter(i, cell.forward);
      case Op::kSendBackward:
        return NeedBackward(i, action.stage);
      default: {
        const HalfRange halves(action.half);
        for (int h = halves.first; h < halves.end; ++h) {
          if (cell.backward[h] < 0 || cell.backward[h] > i) continue;
          return NeedNotAfter(i, cell.backward[h]);
        }
      }
    }
  }

  void CheckTied(int i) {
    const Action& action = actions_[i];
    const StagePlaces places = PlacesOf(action.stage);
    const std::string stage = absl::StrCat(action.stage.value());
    const auto reduce = [&] { return absl::StrCat(stage, "G"); };
    const bool shared = subject_.IsShared(action.stage);
    switch (action.op) {
      case Op::kSendBackward:
        NeedNotBeforeLast(i, places.last_backward);
        if (shared) NeedBefore(i, places.reduce, reduce);
        return;
      case Op::kReceiveBackward:
        NeedNotAfter(i, norm_);
        if (shared) NeedBefore(i, places.reduce, reduce);
        return;
      default:
        NeedBefore(i, places.update, [&] { return absl::StrCat(stage, "U"); });
    }
  }

  // What X makes leaves, and what Y takes arrives, while X runs.
  static bool MayStandBetween(const Action& first, const Action& action) {
    return IsReceive(action.op) ||
           (IsSend(action.op) && action.stage == first.stage);
  }

  void CheckPair(int i) {
    const Action& first = actions_[i];
    const int size = static_cast<int>(actions_.size());
    int next = i + 1;
    while (next < size && MayStandBetween(first, actions_[next])) ++next;
    if (next == size || !IsCompute(actions_[next].op)) {
      return Fail(i, next == size
                         ? "overlaps what follows, and nothing does"
                         : absl::StrCat("overlaps what follows, but ",
                                        subject_.TextOf(actions_[next]),
                                        " stands between"));
    }
    const Action& second = actions_[next];
    if (second.overlaps_next) {
      return Fail(next, "is the second of a pair and overlaps a third");
    }
    if (subject_.IsOwn(rank_, second) && Feeds(first, second)) {
      Fail(next, absl::StrCat("overlaps ", subject_.TextOf(first),
                              ", which it needs"));
    }
  }

  // Whether `second` takes something that `first` makes.
  bool Feeds(const Action& first, const Action& second) const {
    const int b = second.microbatch.value();
    if (first.microbatch.value() + first.num_microbatches <= b ||
        b + second.num_microbatches <= first.microbatch.value()) {
      return false;
    }
    if (first.stage == second.stage) return true;
    const auto& edges = second.op == Op::kForward
                            ? subject_.takes(second.stage)
                            : subject_.makes(second.stage);
    return std::any_of(edges.begin(), edges.end(), [&](const StageEdge& edge) {
      return edge.other == first.stage;
    });
  }

  const Subject& subject_;
  const RankId rank_;
  const std::vector<Action>& actions_;
  RuleViolations& found_;
  absl::flat_hash_map<int, StagePlaces> stages_;
  int last_of_all_ = -1;
  int norm_ = -1;
};

}  // namespace

void CheckOrder(const Subject& subject, std::vector<Violation>* all) {
  RuleViolations found("order", all);
  for (const RankId rank : subject.ranks()) {
    OrderCheck(subject, rank, found).Run();
  }
}

}  // namespace penstock
