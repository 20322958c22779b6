#include "schedule/simulator/steady_period.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

// Steps that all of the rank's stages have made every update of when the
// prologue ends.
int64_t StepsEndedIn(const Schedule& schedule, int rank) {
  std::map<StageId, int64_t> steps;
  for (const Action& action : schedule.period[rank]) {
    if (action.op == Op::kUpdate) steps[action.stage] = 0;
  }
  for (const Action& action : schedule.ranks[rank]) {
    if (action.op != Op::kUpdate) continue;
    const VersionRule& rule = schedule.versions[action.stage.value()];
    steps[action.stage] = int64_t{action.version.value_or(0)} *
                          rule.microbatches_per_update /
                          schedule.num_microbatches;
  }
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const auto& [stage, of_stage] : steps) least = std::min(least, of_stage);
  return steps.empty() ? 0 : least;
}

double EndOf(const Timeline& timeline) {
  double end = 0;
  for (const std::vector<TimelineEvent>& events : timeline.ranks) {
    for (const TimelineEvent& event : events) end = std::max(end, event.end);
  }
  return end;
}

// Where a repetition stands in the lists of a run.
class Repetition {
 public:
  Repetition(const Schedule& schedule, int number)
      : schedule_(schedule), number_(number) {}

  int Begin(int rank) const {
    return static_cast<int>(schedule_.ranks[rank].size()) +
           number_ * Size(rank);
  }
  int End(int rank) const { return Begin(rank) + Size(rank); }
  bool Has(RankId rank, int position) const {
    return rank.value() >= 0 && position >= Begin(rank.value()) &&
           position < End(rank.value());
  }

  double EndTime(const Timeline& run) const {
    double end = 0;
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      for (int i = Begin(rank); i < End(rank); ++i) {
        end = std::max(end, run.ranks[rank][i].end);
      }
    }
    return end;
  }

  Timeline CutFrom(const Timeline& run) const {
    Timeline cut;
    double origin = std::numeric_limits<double>::max();
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      const auto begin = run.ranks[rank].begin();
      cut.ranks.emplace_back(begin + Begin(rank), begin + End(rank));
      if (!cut.ranks[rank].empty()) {
        origin = std::min(origin, cut.ranks[rank].front().start);
      }
    }
    for (std::vector<TimelineEvent>& events : cut.ranks) {
      for (TimelineEvent& event : events) Move(origin, &event);
    }
    for (Transfer transfer : run.transfers) {
      if (!Has(transfer.from, transfer.from_position) ||
          !Has(transfer.to, transfer.to_position)) {
        continue;
      }
      transfer.from_position -= Begin(transfer.from.value());
      transfer.to_position -= Begin(transfer.to.value());
      for (double* const time :
           {&transfer.posted, &transfer.start, &transfer.end}) {
        *time -= origin;
      }
      cut.transfers.push_back(transfer);
    }
    return cut;
  }

 private:
  int Size(int rank) const {
    return static_cast<int>(schedule_.period[rank].size());
  }

  void Move(double origin, TimelineEvent* event) const {
    event->start -= origin;
    event->end -= origin;
    if (event->inputs_made >= 0) {
      event->inputs_made = std::max(0.0, event->inputs_made - origin);
    }
    if (Has(event->after_rank, event->after_position)) {
      event->after_position -= Begin(event->after_rank.value());
    } else {
      event->after_rank = RankId();
      event->after_position = -1;
    }
  }

  const Schedule& schedule_;
  const int number_;
};

// Of a run's lists, with the period's in each repetition.
std::vector<std::vector<double>> TimesOfRun(
    const Schedule& schedule, const std::vector<std::vector<double>>& period,
    int repetitions) {
  std::vector<std::vector<double>> times;
  for (size_t rank = 0; rank < period.size(); ++rank) {
    std::vector<double>& list = times.emplace_back();
    list.assign(schedule.ranks[rank].size(), -1);
    for (int i = 0; i < repetitions; ++i) {
      list.insert(list.end(), period[rank].begin(), period[rank].end());
    }
  }
  return times;
}

}  // namespace

Schedule TracedSchedule(const Schedule& schedule, int64_t step) {
  if (!schedule.is_continuous() || schedule.period.empty()) return schedule;
  Schedule traced = schedule;
  traced.period.clear();
  traced.epilogue.clear();
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const auto repetition = static_cast<int>(
        std::max<int64_t>(0, step - 1 - StepsEndedIn(schedule, rank)));
    traced.ranks[rank].clear();
    for (const Action& action : schedule.period[rank]) {
      traced.ranks[rank].push_back(Shift(action, schedule, repetition));
    }
  }
  return traced;
}

absl::StatusOr<SteadyPeriod> SimulateSteadyPeriod(
    const Schedule& schedule, CostModel costs, const SimulateOptions& options) {
  SteadyPeriod period;
  if (schedule.period.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(period.timeline,
                              Simulate(schedule, costs, options));
    period.seconds = EndOf(period.timeline);
    return period;
  }
  // Whatever a rank waits for has gone round all ranks by the middle.
  const int middle = 2 * schedule.num_ranks();
  const int last = 2 * middle;
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule run, Unroll(schedule, last + 1));
  costs.action_times = TimesOfRun(schedule, costs.action_times, last + 1);
  PENSTOCK_ASSIGN_OR_RETURN(const Timeline timeline,
                            Simulate(run, costs, options));
  const Repetition cut(schedule, middle);
  period.seconds =
      (Repetition(schedule, last).EndTime(timeline) - cut.EndTime(timeline)) /
      (last - middle);
  period.timeline = cut.CutFrom(timeline);
  return period;
}

}  // namespace penstock
