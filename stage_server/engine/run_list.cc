#include "stage_server/engine/run_list.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

// Of the rank's stages: steps that each has made all updates of.
using StepsOfStages = std::map<StageId, int64_t>;

int64_t StepsOfAll(const StepsOfStages& steps) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const auto& [stage, of_one] : steps) least = std::min(least, of_one);
  return steps.empty() ? 0 : least;
}

// One behind each update after which one step more is done on all stages.
std::vector<int64_t> EndsIn(const std::vector<Action>& actions,
                            const Schedule& schedule, StepsOfStages* steps) {
  std::vector<int64_t> ends;
  for (size_t i = 0; i < actions.size(); ++i) {
    if (actions[i].op != Op::kUpdate) continue;
    const VersionRule& rule = schedule.versions[actions[i].stage.value()];
    const int64_t before = StepsOfAll(*steps);
    (*steps)[actions[i].stage] = int64_t{actions[i].version.value_or(0)} *
                                 rule.microbatches_per_update /
                                 schedule.num_microbatches;
    for (int64_t step = before; step < StepsOfAll(*steps); ++step) {
      ends.push_back(static_cast<int64_t>(i) + 1);
    }
  }
  return ends;
}

}  // namespace

absl::StatusOr<RunList> RunList::Make(const Schedule& schedule, RankId rank,
                                      int64_t num_steps) {
  RunList list(schedule);
  list.schedule_.ranks.clear();
  list.schedule_.period.clear();
  list.schedule_.epilogue.clear();
  list.runs_on_ = schedule.is_continuous();
  list.num_steps_ = num_steps;
  list.cells_ = schedule.ranks[rank.value()];
  list.prologue_size_ = static_cast<int64_t>(list.cells_.size());
  list.size_ = list.prologue_size_;
  if (!list.runs_on_) return list;
  const std::vector<Action>& period = schedule.period[rank.value()];
  const std::vector<Action>& epilogue = schedule.epilogue[rank.value()];
  list.period_size_ = static_cast<int64_t>(period.size());
  list.cells_.insert(list.cells_.end(), period.begin(), period.end());
  list.cells_.insert(list.cells_.end(), epilogue.begin(), epilogue.end());
  StepsOfStages steps;
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    const std::vector<RankId>& holders = schedule.placement[stage];
    if (std::find(holders.begin(), holders.end(), rank) != holders.end()) {
      steps[StageId(stage)] = 0;
    }
  }
  list.prologue_ends_ = EndsIn(schedule.ranks[rank.value()], schedule, &steps);
  StepsOfStages after_prologue = steps;
  list.period_ends_ = EndsIn(period, schedule, &after_prologue);
  list.epilogue_ends_ = EndsIn(epilogue, schedule, &steps);
  PENSTOCK_RETURN_IF_ERROR(list.CountPeriods());
  list.size_ = list.prologue_size_ + list.num_periods_ * list.period_size_ +
               static_cast<int64_t>(epilogue.size());
  return list;
}

absl::Status RunList::CountPeriods() {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (period_ends_.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule_.name, ": the updates of ", period_ends_.size(),
        " steps end in the period, want those of 1"));
  }
  const auto shortest =
      static_cast<int64_t>(prologue_ends_.size() + epilogue_ends_.size());
  const int64_t longest = kMax / std::max(1, schedule_.num_microbatches);
  if (num_steps_ < shortest || num_steps_ > longest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule_.name, " never drains; a run has from ", shortest,
        " to ", longest, " steps, got ", num_steps_));
  }
  num_periods_ = num_steps_ - shortest;
  return absl::OkStatus();
}

RunList::Place RunList::PlaceAt(int64_t position) const {
  const int64_t in_periods = position - prologue_size_;
  if (in_periods < 0) return {static_cast<size_t>(position), 0};
  const int64_t of_all = num_periods_ * period_size_;
  if (in_periods < of_all) {
    return {static_cast<size_t>(prologue_size_ + in_periods % period_size_),
            static_cast<int>(in_periods / period_size_)};
  }
  return {static_cast<size_t>(position - of_all + period_size_),
          static_cast<int>(num_periods_)};
}

Action RunList::ActionAt(int64_t position) const {
  const Place place = PlaceAt(position);
  return place.repetition == 0
             ? cells_[place.cell]
             : Shift(cells_[place.cell], schedule_, place.repetition);
}

int64_t RunList::EndOf(int64_t step) const {
  if (!runs_on_ || step >= num_steps_) return size_;
  int64_t later = step - 1 - steps_in_prologue();
  if (later < 0) return prologue_ends_[step - 1];
  if (later < num_periods_) {
    return prologue_size_ + later * period_size_ + period_ends_[0];
  }
  later -= num_periods_;
  return prologue_size_ + num_periods_ * period_size_ + epilogue_ends_[later];
}

RunList::InStep RunList::StepOf(int64_t step, MicrobatchId microbatch) const {
  if (!runs_on_) return {step, microbatch.value()};
  return {microbatch.value() / schedule_.num_microbatches + 1,
          microbatch.value() % schedule_.num_microbatches};
}

std::optional<RunList::Traced> RunList::TracedBefore(int64_t step,
                                                     int64_t end) const {
  if (!runs_on_) return Traced{step, 0, size_};
  const int64_t repetitions =
      std::min(num_periods_, (end - prologue_size_) / period_size_);
  if (end < prologue_size_ || repetitions == 0) return std::nullopt;
  const int64_t begin = prologue_size_ + (repetitions - 1) * period_size_;
  return Traced{steps_in_prologue() + repetitions, begin, begin + period_size_};
}

}  // namespace penstock
