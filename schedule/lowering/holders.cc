#include "schedule/lowering/holders.h"

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

size_t CountActions(const Schedule& schedule) {
  size_t count = 0;
  for (const RankLists* lists : SectionsOf(schedule)) {
    for (const std::vector<Action>& actions : *lists) count += actions.size();
  }
  return count;
}

}  // namespace

std::vector<RankLists*> SectionsOf(Schedule& schedule) {
  if (!schedule.is_continuous()) return {&schedule.ranks};
  return {&schedule.ranks, &schedule.period, &schedule.epilogue};
}

std::vector<const RankLists*> SectionsOf(const Schedule& schedule) {
  if (!schedule.is_continuous()) return {&schedule.ranks};
  return {&schedule.ranks, &schedule.period, &schedule.epilogue};
}

absl::StatusOr<Holders> Holders::Of(const Schedule& schedule) {
  Holders holders;
  holders.num_microbatches_ = schedule.num_microbatches;
  holders.continuous_ = schedule.is_continuous();
  holders.stages_.resize(schedule.num_stages());
  const size_t num_actions = CountActions(schedule);
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    const std::vector<RankId>& ranks = schedule.placement[stage];
    if (ranks.size() == 1) holders.stages_[stage].only = ranks[0];
    if (ranks.size() < 2) continue;
    // Every microbatch needs a backward of its own, so that rubbish cannot ask
    // for more memory than its lists take.
    if (schedule.num_microbatches < 1 ||
        static_cast<size_t>(schedule.num_microbatches) > num_actions) {
      return absl::InvalidArgumentError(
          absl::StrCat("stage ", stage, " is on ", ranks.size(),
                       " ranks, and the lists do not run its ",
                       schedule.num_microbatches, " microbatches"));
    }
    holders.stages_[stage].by_microbatch.resize(schedule.num_microbatches);
  }
  for (const RankLists* lists : SectionsOf(schedule)) {
    for (size_t rank = 0; rank < lists->size(); ++rank) {
      for (const Action& action : (*lists)[rank]) {
        if (!IsCompute(action.op)) continue;
        PENSTOCK_RETURN_IF_ERROR(
            holders.Read(RankId(static_cast<int>(rank)), action));
      }
    }
  }
  return holders;
}

absl::Status Holders::Read(RankId rank, const Action& action) {
  const int stage = action.stage.value();
  if (stage < 0 || stage >= static_cast<int>(stages_.size())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rank ", rank.value(), " runs stage ", stage, " of ", stages_.size()));
  }
  if (action.half != Half::kWhole && action.op != Op::kBackwardWeight &&
      num_microbatches_ > 0 && action.microbatch.value() >= 0) {
    cut_.insert(CutKey(action.stage, action.microbatch.value()));
  }
  if (action.op != Op::kForward) return absl::OkStatus();
  for (int i = 0; i < action.num_microbatches; ++i) {
    PENSTOCK_RETURN_IF_ERROR(
        Hold(rank, action.stage, action.microbatch.value() + i));
  }
  return absl::OkStatus();
}

absl::Status Holders::Hold(RankId rank, StageId stage, int microbatch) {
  std::vector<RankId>& by_microbatch = stages_[stage.value()].by_microbatch;
  if (by_microbatch.empty()) return absl::OkStatus();
  if (microbatch < 0 || (!continuous_ && microbatch >= num_microbatches_)) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank.value(), " runs microbatch ", microbatch,
                     " of ", num_microbatches_));
  }
  RankId& holder = by_microbatch[microbatch % num_microbatches_];
  if (holder.value() >= 0 && holder != rank) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage ", stage.value(), " runs microbatch ", microbatch, " on rank ",
        holder.value(), " and on rank ", rank.value(), "; want one of them",
        continuous_ ? " for all microbatches that are a period apart" : ""));
  }
  holder = rank;
  return absl::OkStatus();
}

}  // namespace penstock
