#include "stage_server/engine/run_list.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/ir/run_length.h"
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
                                      const Span& span) {
  RunList list(schedule);
  list.schedule_.ranks.clear();
  list.schedule_.period.clear();
  list.schedule_.epilogue.clear();
  list.span_ = span;
  list.runs_on_ = schedule.is_continuous();
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
  list.epilogue_size_ = static_cast<int64_t>(epilogue.size());
  PENSTOCK_RETURN_IF_ERROR(list.CountPeriods(schedule));
  list.FindFirstDrain();
  PENSTOCK_RETURN_IF_ERROR(list.CheckStretches());
  const Stretch last = list.StretchOf(span.num_steps);
  list.size_ = last.begin + list.SizeOf(last.num_steps);
  return list;
}

absl::Status RunList::CountPeriods(const Schedule& schedule) {
  PENSTOCK_RETURN_IF_ERROR(PeriodsOfRun(schedule, span_.num_steps).status());
  PENSTOCK_ASSIGN_OR_RETURN(shortest_, LeastStepsOfRun(schedule));
  const auto at_ends =
      static_cast<int64_t>(prologue_ends_.size() + epilogue_ends_.size());
  if (period_ends_.size() == 1 && at_ends == shortest_) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule ", schedule_.name, ": the updates of ", period_ends_.size(),
      " steps end in the period, want those of 1, and of ", at_ends,
      " before and after, want ", shortest_));
}

void RunList::FindFirstDrain() {
  const auto& [num_steps, every, before, newest_only] = span_;
  first_drain_ = num_steps;
  if (every == 0) return;
  int64_t drain = (before / every + 1) * every;
  while (before > 0 && drain - before < shortest_) drain += every;
  first_drain_ = std::min(drain, num_steps);
}

absl::Status RunList::CheckStretches() const {
  const int64_t first = first_drain_ - span_.steps_before;
  const int64_t rest = span_.num_steps - first_drain_;
  const int64_t last = span_.drain_every > 0 ? rest % span_.drain_every : 0;
  for (const int64_t steps : {first, std::min(span_.drain_every, rest), last}) {
    if (steps >= shortest_ || (steps == 0 && first > 0)) continue;
    const std::string done =
        span_.steps_before > 0
            ? absl::StrCat(", of which ", span_.steps_before, " are made,")
            : "";
    return absl::InvalidArgumentError(
        absl::StrCat("schedule ", schedule_.name, " takes at least ", shortest_,
                     " steps to fill and to drain; drained after every ",
                     span_.drain_every, " of ", span_.num_steps, " steps", done,
                     " there are ", steps, " between two drains"));
  }
  return absl::OkStatus();
}

RunList::Stretch RunList::StretchAt(int64_t index) const {
  Stretch stretch;
  stretch.first_step = span_.steps_before;
  int64_t end = first_drain_;
  if (index > 0) {
    stretch.first_step = first_drain_ + (index - 1) * span_.drain_every;
    stretch.begin = SizeOf(first_drain_ - span_.steps_before) +
                    (index - 1) * SizeOf(span_.drain_every);
    end = std::min(stretch.first_step + span_.drain_every, span_.num_steps);
  }
  stretch.num_steps = end - stretch.first_step;
  stretch.num_periods = stretch.num_steps - shortest_;
  return stretch;
}

RunList::Stretch RunList::StretchOf(int64_t step) const {
  const int64_t last = std::min(step, span_.num_steps);
  Stretch stretch = StretchAt(
      last <= first_drain_ ? 0
                           : (last - first_drain_ - 1) / span_.drain_every + 1);
  stretch.is_last = step >= stretch.first_step + stretch.num_steps;
  return stretch;
}

RunList::Stretch RunList::StretchHolding(int64_t position) const {
  const int64_t of_first = SizeOf(first_drain_ - span_.steps_before);
  if (position < of_first || first_drain_ == span_.num_steps) {
    return StretchAt(0);
  }
  const int64_t last =
      (span_.num_steps - first_drain_ - 1) / span_.drain_every + 1;
  return StretchAt(
      std::min(last, (position - of_first) / SizeOf(span_.drain_every) + 1));
}

int64_t RunList::EarliestStop(int64_t position) const {
  if (!runs_on_) return 0;
  const Stretch stretch = StretchHolding(position);
  if (position == stretch.begin) return stretch.first_step;
  const int64_t in_periods =
      std::max<int64_t>(0, position - stretch.begin - prologue_size_);
  const int64_t periods = (in_periods + period_size_ - 1) / period_size_;
  return stretch.first_step + std::min(stretch.num_steps, shortest_ + periods);
}

absl::Status RunList::StopAfter(int64_t step, int64_t position) {
  if (step >= span_.num_steps) return absl::OkStatus();
  if (!runs_on_) {
    span_.num_steps = step;
    return absl::OkStatus();
  }
  const int64_t earliest = EarliestStop(position);
  const Stretch stretch = StretchOf(step);
  const int64_t end = stretch.first_step + stretch.num_steps;
  const int64_t least =
      std::min(end, std::max(earliest, stretch.first_step + shortest_));
  if (step < earliest || step < least) {
    return absl::FailedPreconditionError(absl::StrCat(
        "schedule ", schedule_.name, " cannot be drained after step ", step,
        " any more, or not so soon after the drain before it; it can after "
        "step ",
        std::max(earliest, least)));
  }
  span_.num_steps = step;
  first_drain_ = std::min(first_drain_, step);
  const Stretch last = StretchOf(step);
  size_ = last.begin + SizeOf(last.num_steps);
  return absl::OkStatus();
}

RunList::Place RunList::PlaceAt(int64_t position) const {
  if (!runs_on_) return {static_cast<size_t>(position)};
  const Stretch stretch = StretchHolding(position);
  const int64_t before = stretch.first_step;
  int64_t in_part = position - stretch.begin;
  if (in_part < prologue_size_) {
    return {static_cast<size_t>(in_part), static_cast<int>(before), before};
  }
  in_part -= prologue_size_;
  const int64_t of_all = stretch.num_periods * period_size_;
  if (in_part < of_all) {
    return {static_cast<size_t>(prologue_size_ + in_part % period_size_),
            static_cast<int>(before + in_part / period_size_), before};
  }
  return {static_cast<size_t>(prologue_size_ + period_size_ + in_part - of_all),
          static_cast<int>(before + stretch.num_periods), before};
}

Action RunList::ActionAt(int64_t position) const {
  const Place place = PlaceAt(position);
  const Action& written = cells_[place.cell];
  if (place.shift == 0) return written;
  Action action = Shift(written, schedule_, place.shift);
  if (place.drained_steps == 0 || !IsCompute(action.op)) return action;
  const VersionRule& rule = schedule_.versions[action.stage.value()];
  const int per_update = rule.microbatches_per_update;
  if (written.version == 0) {
    action.version =
        std::max(0, action.microbatch.value() / per_update - rule.delay);
  }
  if (span_.newest_only && action.version.has_value()) {
    const int64_t newest =
        span_.steps_before * schedule_.num_microbatches / per_update;
    action.version = std::max(*action.version, static_cast<int>(newest));
  }
  return action;
}

int64_t RunList::EndOf(int64_t step) const {
  if (!runs_on_) return size_;
  const Stretch stretch = StretchOf(step);
  if (stretch.is_last) return stretch.begin + SizeOf(stretch.num_steps);
  int64_t later = step - 1 - stretch.first_step;
  if (later < steps_in_prologue()) return stretch.begin + prologue_ends_[later];
  later -= steps_in_prologue();
  const int64_t periods = std::min(later, stretch.num_periods);
  const int64_t begin = stretch.begin + prologue_size_ + periods * period_size_;
  later -= periods;
  return begin + (periods < stretch.num_periods ? period_ends_[0]
                                                : epilogue_ends_[later]);
}

bool RunList::IsDrainedAfter(int64_t step) const {
  return !runs_on_ || StretchOf(step).is_last;
}

int64_t RunList::NextDrain(int64_t position) const {
  if (!runs_on_) return size_;
  const Stretch stretch = StretchHolding(position);
  return stretch.begin + SizeOf(stretch.num_steps);
}

int64_t RunList::LatestDrain(int64_t position) const {
  return runs_on_ ? StretchHolding(position).begin : 0;
}

RunList::InStep RunList::StepOf(int64_t step, MicrobatchId microbatch) const {
  if (!runs_on_) return {step, microbatch.value()};
  return {microbatch.value() / schedule_.num_microbatches + 1,
          microbatch.value() % schedule_.num_microbatches};
}

std::optional<RunList::Traced> RunList::TracedBefore(int64_t step,
                                                     int64_t end) const {
  if (!runs_on_) return Traced{step, 0, size_};
  if (end == 0) return std::nullopt;
  const Stretch stretch = StretchHolding(end - 1);
  const int64_t in_periods = end - stretch.begin - prologue_size_;
  const int64_t repetitions =
      std::min(stretch.num_periods, in_periods / period_size_);
  if (in_periods < 0 || repetitions == 0) return std::nullopt;
  const int64_t begin =
      stretch.begin + prologue_size_ + (repetitions - 1) * period_size_;
  return Traced{stretch.first_step + steps_in_prologue() + repetitions, begin,
                begin + period_size_};
}

}  // namespace penstock
