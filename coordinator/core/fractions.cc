#include "coordinator/core/fractions.h"

#include <cstdint>
#include <vector>

#include "base/status_macros.h"
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

}  // namespace

absl::StatusOr<Fractions> FractionsOf(const Plan& plan,
                                      const TimelineRow& timeline) {
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
  return fractions;
}

}  // namespace penstock
