#include "schedule/verifier/complete.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// What has been run of one stage and microbatch, as bits. Two bits each for the
// halves of what makes the inputs' and the weights' gradients.
constexpr uint8_t kForwardRan = 1;
constexpr uint8_t kRecomputeRan = 2;
// Some of the backward was a B.
constexpr uint8_t kFused = 1 << 6;

uint8_t BitsOf(const Action& action) {
  if (action.op == Op::kForward) return kForwardRan;
  if (action.op == Op::kRecompute) return kRecomputeRan;
  const int halves = action.half == Half::kWhole   ? 3
                     : action.half == Half::kFirst ? 1
                                                   : 2;
  return (GivesGradient(action.op) ? halves << 2 : 0) |
         (GivesWeightGradient(action.op) ? halves << 4 : 0);
}

class CompleteCheck {
 public:
  CompleteCheck(const Subject& subject, std::vector<Violation>* all)
      : subject_(subject),
        found_("complete", all),
        ran_(subject.schedule().num_stages(),
             subject.schedule().num_microbatches, subject.num_actions()) {}

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
    if (subject_.lowered() && !schedule.is_continuous()) {
      FindMissingOncePerStep();
    }
  }

 private:
  void Fail(RankId rank, int position, const Action& action,
            absl::string_view why) {
    found_.Add(rank, position, absl::StrCat(subject_.TextOf(action), why));
  }

  void Count(RankId rank, int position, const Action& action) {
    if (!subject_.IsPlaced(rank, action)) return;
    if (IsCompute(action.op)) return CountCompute(rank, position, action);
    if (!subject_.lowered()) {
      return Fail(rank, position, action,
                  " stands in a schedule that is not lowered; want F, B, I, W "
                  "and R only");
    }
    if (IsSend(action.op) || IsReceive(action.op)) return;  // comm_pairing
    if (subject_.schedule().is_continuous()) {
      if (action.op == Op::kAgreeNorm) {
        Fail(rank, position, action,
             " stands in a continuous schedule, whose ranks never meet");
      }
      return;
    }
    if (!once_.insert({Key(rank, action.op, action.stage), position}).second) {
      Fail(rank, position, action, " is there twice");
    }
  }

  void CountCompute(RankId rank, int position, const Action& action) {
    if (!subject_.IsOwn(rank, action)) {
      const RankId holder =
          subject_.HolderOf(action.stage, action.microbatch.value());
      return Fail(rank, position, action,
                  absl::StrCat(" has its F on r", holder.value(),
                               "; want it on the same rank"));
    }
    const uint8_t bits = BitsOf(action);
    for (int k = 0; k < action.num_microbatches; ++k) {
      uint8_t& ran =
          ran_.At(action.stage.value(), action.microbatch.value() + k);
      if ((ran & bits) == 0) {
        ran |= bits | (action.op == Op::kBackward ? kFused : 0);
        continue;
      }
      const bool fused = action.op == Op::kBackward;
      const bool same = !IsBackward(action.op) || fused == ((ran & kFused) > 0);
      return Fail(rank, position, action,
                  same ? " is there twice"
                       : " is a second backward; want one B, or one I and one "
                         "W");
    }
  }

  // A stage of whose ranks some lists are not there can miss nothing that is
  // known.
  bool AllListsThere(StageId stage) const {
    const std::vector<RankId>& holders =
        subject_.schedule().placement[stage.value()];
    return !holders.empty() &&
           (subject_.AllListsThere() ||
            (holders.size() == 1 && subject_.ListIsThere(holders[0])));
  }

  void Missing(StageId stage, int microbatch, Op op, int halves) {
    Action action{
        .op = op, .stage = stage, .microbatch = MicrobatchId(microbatch)};
    if (halves == 1) action.half = Half::kFirst;
    if (halves == 2) action.half = Half::kSecond;
    const RankId holder = subject_.HolderOf(stage, microbatch);
    found_.Add(holder.value() >= 0
                   ? holder
                   : subject_.schedule().placement[stage.value()][0],
               -1,
               absl::StrCat(op == Op::kBackward ? "the backward " : "",
                            ToString(action), " is missing"));
  }

  void FindMissingRuns(StageId stage, int microbatch) {
    const uint8_t ran = ran_.Get(stage.value(), microbatch);
    if ((ran & kForwardRan) == 0) Missing(stage, microbatch, Op::kForward, 3);
    const int input = 3 & ~(ran >> 2);
    const int weight = 3 & ~(ran >> 4);
    if (input > 0 && input == weight) {
      Missing(stage, microbatch, Op::kBackward, input);
      return;
    }
    if (input > 0) Missing(stage, microbatch, Op::kBackwardInput, input);
    if (weight > 0) Missing(stage, microbatch, Op::kBackwardWeight, weight);
  }

  void FindMissingOncePerStep() {
    for (const RankId rank : subject_.ranks()) {
      if (!once_.contains(Key(rank, Op::kAgreeNorm, StageId()))) {
        found_.Add(rank, -1, "N is missing");
      }
    }
    for (int s = 0; s < subject_.schedule().num_stages(); ++s) {
      for (const RankId rank : subject_.schedule().placement[s]) {
        if (found_.full()) return;
        if (subject_.Exists(rank) && subject_.ListIsThere(rank)) {
          FindMissingUpdate(rank, StageId(s));
        }
      }
    }
  }

  void FindMissingUpdate(RankId rank, StageId stage) {
    const int s = stage.value();
    if (!once_.contains(Key(rank, Op::kUpdate, stage))) {
      found_.Add(rank, -1, absl::StrCat(s, "U is missing"));
    }
    const auto reduce = once_.find(Key(rank, Op::kReduceGradient, stage));
    const size_t num_holders = subject_.schedule().placement[s].size();
    if (num_holders > 1 && reduce == once_.end()) {
      found_.Add(rank, -1,
                 absl::StrCat(s, "G is missing: the stage is on ", num_holders,
                              " ranks"));
    }
    if (num_holders == 1 && reduce != once_.end()) {
      found_.Add(rank, reduce->second,
                 absl::StrCat(s, "G: the stage is on this rank alone"));
    }
  }

  using OnceKey = std::tuple<int, Op, int>;
  static OnceKey Key(RankId rank, Op op, StageId stage) {
    return {rank.value(), op, stage.value()};
  }

  const Subject& subject_;
  RuleViolations found_;
  CellTable<uint8_t> ran_;
  // N, U and G of a rank (and stage), and where they are.
  absl::flat_hash_map<OnceKey, int> once_;
};

}  // namespace

void CheckComplete(const Subject& subject, std::vector<Violation>* all) {
  CompleteCheck(subject, all).Run();
}

}  // namespace penstock
