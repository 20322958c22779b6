#include "schedule/verifier/complete.h"

#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

struct Runs {
  bool forward = false;
  bool backward = false;         // B
  bool backward_input = false;   // I
  bool backward_weight = false;  // W
  bool recompute = false;

  bool& Of(Op op) {
    switch (op) {
      case Op::kForward:
        return forward;
      case Op::kBackward:
        return backward;
      case Op::kBackwardInput:
        return backward_input;
      case Op::kBackwardWeight:
        return backward_weight;
      default:
        return recompute;
    }
  }
};

class CompleteCheck {
 public:
  CompleteCheck(const Subject& subject, std::vector<Violation>* all)
      : subject_(subject), found_("complete", all) {}

  void Run() {
    for (const RankId rank : subject_.ranks()) {
      for (size_t i = 0; i < subject_.actions(rank).size(); ++i) {
        Count(rank, static_cast<int>(i), subject_.actions(rank)[i]);
      }
    }
    const Schedule& schedule = subject_.schedule();
    for (int stage = 0; stage < schedule.num_stages(); ++stage) {
      if (!AllListsThere(StageId(stage))) continue;
      for (int b = 0; b < schedule.num_microbatches && !found_.full(); ++b) {
        FindMissingRuns(StageId(stage), b);
      }
    }
    if (subject_.lowered()) FindMissingOncePerStep();
  }

 private:
  void Twice(RankId rank, int position, const Action& action) {
    found_.Add(rank, position,
               absl::StrCat(subject_.TextOf(action), " is there twice"));
  }

  void Count(RankId rank, int position, const Action& action) {
    if (!subject_.IsPlaced(rank, action)) return;
    if (!IsCompute(action.op)) {
      if (!subject_.lowered()) {
        found_.Add(rank, position,
                   absl::StrCat(subject_.TextOf(action),
                                " stands in a schedule that is not lowered; "
                                "want F, B, I, W and R only"));
        return;
      }
      if (IsSend(action.op) || IsReceive(action.op)) return;  // comm_pairing
      if (!once_.insert({Key(rank, action.op, action.stage), position})
               .second) {
        Twice(rank, position, action);
      }
      return;
    }
    Runs& runs = runs_[{action.stage.value(), action.microbatch.value()}];
    bool& ran = runs.Of(action.op);
    if (ran) {
      Twice(rank, position, action);
    } else {
      ran = true;
      if (IsBackward(action.op) && runs.backward &&
          (runs.backward_input || runs.backward_weight)) {
        found_.Add(rank, position,
                   absl::StrCat(subject_.TextOf(action),
                                " is a second backward; want one B, or one I "
                                "and one W"));
      }
    }
  }

  void Missing(StageId stage, absl::string_view what) {
    const std::vector<RankId>& holders =
        subject_.schedule().placement[stage.value()];
    found_.Add(holders.empty() ? RankId(-1) : holders[0], -1,
               absl::StrCat(what, " is missing"));
  }

  // A stage of whose ranks some lists are not there can miss nothing that is
  // known.
  bool AllListsThere(StageId stage) const {
    const std::vector<RankId>& holders =
        subject_.schedule().placement[stage.value()];
    if (holders.empty()) return false;
    if (static_cast<int>(subject_.ranks().size()) ==
        subject_.schedule().num_ranks()) {
      return true;
    }
    return holders.size() == 1 && !subject_.ranks().empty() &&
           holders[0] == subject_.ranks()[0];
  }

  void FindMissingRuns(StageId stage, int microbatch) {
    const auto it = runs_.find({stage.value(), microbatch});
    const Runs runs = it == runs_.end() ? Runs() : it->second;
    const auto text = [&](Op op) {
      return absl::StrCat(stage.value(), ToString(op), microbatch);
    };
    if (!runs.forward) Missing(stage, text(Op::kForward));
    if (runs.backward) return;
    if (!runs.backward_input && !runs.backward_weight) {
      Missing(stage, absl::StrCat("the backward ", text(Op::kBackward)));
    } else if (!runs.backward_input) {
      Missing(stage, text(Op::kBackwardInput));
    } else if (!runs.backward_weight) {
      Missing(stage, text(Op::kBackwardWeight));
    }
  }

  void FindMissingOncePerStep() {
    for (const RankId rank : subject_.ranks()) {
      if (!once_.contains(Key(rank, Op::kAgreeNorm, StageId()))) {
        found_.Add(rank, -1, "N is missing");
      }
    }
    for (int s = 0; s < subject_.schedule().num_stages(); ++s) {
      const std::vector<RankId>& holders = subject_.schedule().placement[s];
      for (const RankId rank : subject_.ranks()) {
        if (found_.full()) return;
        if (!subject_.Holds(rank, StageId(s))) continue;
        if (!once_.contains(Key(rank, Op::kUpdate, StageId(s)))) {
          found_.Add(rank, -1, absl::StrCat(s, "U is missing"));
        }
        const auto reduce =
            once_.find(Key(rank, Op::kReduceGradient, StageId(s)));
        if (holders.size() > 1 && reduce == once_.end()) {
          found_.Add(rank, -1,
                     absl::StrCat(s, "G is missing: the stage is on ",
                                  holders.size(), " ranks"));
        }
        if (holders.size() == 1 && reduce != once_.end()) {
          found_.Add(rank, reduce->second,
                     absl::StrCat(s, "G: the stage is on this rank alone"));
        }
      }
    }
  }

  using OnceKey = std::tuple<int, Op, int>;
  static OnceKey Key(RankId rank, Op op, StageId stage) {
    return {rank.value(), op, stage.value()};
  }

  const Subject& subject_;
  RuleViolations found_;
  absl::flat_hash_map<std::pair<int, int>, Runs> runs_;
  // N, U and G of a rank (and stage), and where they are.
  absl::flat_hash_map<OnceKey, int> once_;
};

}  // namespace

void CheckComplete(const Subject& subject, std::vector<Violation>* all) {
  CompleteCheck(subject, all).Run();
}

}  // namespace penstock
