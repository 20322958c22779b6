#include "schedule/lowering/insert_recompute.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "schedule/lowering/holders.h"

namespace penstock {
namespace {

using Kind = RecomputePolicy::Kind;

absl::Status CheckPolicy(const Schedule& schedule,
                         const RecomputePolicy& policy) {
  if (policy.kind == Kind::kExceptLast && schedule.is_continuous()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule.name,
        " runs on without a last microbatch; recompute never, always or some "
        "stages"));
  }
  for (const StageId stage : policy.stages) {
    if (stage.value() >= 0 && stage.value() < schedule.num_stages()) continue;
    return absl::InvalidArgumentError(absl::StrCat("recompute names stage ",
                                                   stage.value(), " of ",
                                                   schedule.num_stages()));
  }
  for (const RankLists* lists : SectionsOf(schedule)) {
    for (size_t rank = 0; rank < lists->size(); ++rank) {
      for (const Action& action : (*lists)[rank]) {
        if (action.op != Op::kRecompute) continue;
        return absl::InvalidArgumentError(absl::StrCat(
            "schedule ", schedule.name, " recomputes already, on rank ", rank));
      }
    }
  }
  return absl::OkStatus();
}

// Inserts what one policy asks for, list by list.
class Recompute {
 public:
  Recompute(const Schedule& schedule, const RecomputePolicy& policy)
      : last_(policy.kind == Kind::kExceptLast ? schedule.num_microbatches - 1
                                               : -1),
        stages_(schedule.num_stages(), policy.kind != Kind::kStages) {
    for (const StageId stage : policy.stages) stages_[stage.value()] = true;
  }

  std::vector<Action> InsertInto(const std::vector<Action>& actions) {
    std::vector<Action> out;
    out.reserve(actions.size() + actions.size() / 2);
    for (size_t i = 0; i < actions.size(); ++i) {
      const bool second = i > 0 && actions[i - 1].overlaps_next;
      if (!second) InsertBefore(actions[i], &out);
      if (actions[i].overlaps_next && i + 1 < actions.size()) {
        InsertBefore(actions[i + 1], &out);
      }
      out.push_back(actions[i]);
    }
    return out;
  }

 private:
  void InsertBefore(const Action& action, std::vector<Action>* out) {
    if (action.op != Op::kBackward && action.op != Op::kBackwardInput) return;
    const int stage = action.stage.value();
    if (stage < 0 || stage >= static_cast<int>(stages_.size()) ||
        !stages_[stage] || action.microbatch.value() == last_) {
      return;
    }
    if (action.half != Half::kWhole &&
        !begun_.insert({stage, action.microbatch.value()}).second) {
      return;
    }
    out->push_back({.op = Op::kRecompute,
                    .stage = action.stage,
                    .microbatch = action.microbatch,
                    .version = action.version});
  }

  const int last_;
  std::vector<bool> stages_;
  // Stages and microbatches of which a half has come.
  absl::flat_hash_set<std::pair<int, int>> begun_;
};

}  // namespace

absl::StatusOr<RecomputePolicy> ParseRecomputePolicy(absl::string_view text) {
  if (text == "never") return RecomputePolicy{Kind::kNever, {}};
  if (text == "except_last") return RecomputePolicy{Kind::kExceptLast, {}};
  if (text == "always") return RecomputePolicy{Kind::kAlways, {}};
  RecomputePolicy policy{Kind::kStages, {}};
  for (const absl::string_view word : absl::StrSplit(text, ',')) {
    int stage = -1;
    if (!absl::SimpleAtoi(word, &stage) || stage < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "recompute \"", text,
          "\" is not known; want never, except_last, always, or stages such "
          "as \"0,2\""));
    }
    policy.stages.push_back(StageId(stage));
  }
  return policy;
}

absl::StatusOr<Schedule> InsertRecompute(Schedule schedule,
                                         const RecomputePolicy& policy) {
  if (policy.kind == Kind::kNever) return schedule;
  PENSTOCK_RETURN_IF_ERROR(CheckPolicy(schedule, policy));
  for (RankLists* lists : SectionsOf(schedule)) {
    Recompute recompute(schedule, policy);
    for (std::vector<Action>& actions : *lists) {
      actions = recompute.InsertInto(actions);
    }
  }
  return schedule;
}

}  // namespace penstock
