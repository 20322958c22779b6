#include "coordinator/core/fractions.h"

#include <cstdint>
#include <vector>

#include "base/status_macros.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/simulator/measured_run.h"

namespace penstock {
namespace {

constexpr int64_t kMostActions = 200'000;

}  // namespace

absl::StatusOr<Fractions> FractionsOf(const Plan& plan,
                                      const TimelineRow& timeline) {
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule schedule,
                            FromProto(plan.schedule()));
  const std::vector<StepTrace> ranks(timeline.ranks().begin(),
                                     timeline.ranks().end());
  int64_t actions = 0;
  for (const std::vector<Action>& list : schedule.ranks) {
    actions += static_cast<int64_t>(list.size());
  }
  Fractions fractions;
  if (actions > kMostActions) {
    PENSTOCK_RETURN_IF_ERROR(MeasuredTimeline(schedule, ranks).status());
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
