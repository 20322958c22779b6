#include "coordinator/core/fractions.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/status_macros.h"
#include "coordinator/core/arithmetic.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/simulator/measured_run.h"
#include "schedule/simulator/steady_period.h"

namespace penstock {
namespace {

constexpr int64_t kMostActions = 200'000;

int64_t Count(const RankLists& lists) {
  int64_t actions = 0;
  for (const std::vector<Action>& list : lists) {
    actions += static_cast<int64_t>(list.size());
  }
  return actions;
}

// Of the run that is simulated; about four periods a rank of a continuous one.
int64_t SimulatedActions(const Schedule& schedule) {
  return Count(schedule.ranks) +
         4 * schedule.num_ranks() * Count(schedule.period) +
         Count(schedule.epilogue);
}

// 0 where it is not known.
double KernelOf(const Plan& plan, const Schedule& schedule, int64_t step,
                const std::vector<double>& peaks, double work_seconds) {
  const bool knows_peaks = peaks.size() == schedule.ranks.size() &&
                           std::all_of(peaks.begin(), peaks.end(),
                                       [](double peak) { return peak > 0; });
  if (!knows_peaks || work_seconds <= 0) return 0;
  const absl::StatusOr<std::vector<double>> flops =
      FlopsOfStep(plan, schedule, step);
  if (!flops.ok()) return 0;
  double least_seconds = 0;
  for (size_t rank = 0; rank < peaks.size(); ++rank) {
    least_seconds += (*flops)[rank] / peaks[rank];
  }
  // The peak was measured too, perhaps while others were at work.
  return std::min(1.0, least_seconds / work_seconds);
}

}  // namespace

absl::StatusOr<Fractions> FractionsOf(const Plan& plan,
                                      const TimelineRow& timeline,
                                      const std::vector<double>& peaks) {
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule schedule,
                            FromProto(plan.schedule()));
  const std::vector<StepTrace> ranks(timeline.ranks().begin(),
                                     timeline.ranks().end());
  Fractions fractions;
  if (SimulatedActions(schedule) > kMostActions) {
    const Schedule traced = TracedSchedule(schedule, timeline.step());
    PENSTOCK_RETURN_IF_ERROR(MeasuredTimeline(traced, ranks).status());
    return fractions;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const WorkFractions measured,
                            MeasureFractions(schedule, ranks, EdgeBytes(plan)));
  fractions.set_balance(measured.balance);
  fractions.set_schedule(measured.schedule);
  fractions.set_runtime(measured.runtime);
  fractions.set_kernel(KernelOf(plan, TracedSchedule(schedule, timeline.step()),
                                timeline.step(), peaks, measured.work_seconds));
  return fractions;
}

}  // namespace penstock
