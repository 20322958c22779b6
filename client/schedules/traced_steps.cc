#include "client/schedules/traced_steps.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/lowering/lower.h"
#include "schedule/simulator/steady_period.h"

namespace penstock {

GetTimelineResponse TracedStep(int64_t step, double milliseconds, int64_t last,
                               const std::string& generator) {
  GetTimelineResponse response;
  response.set_step(step);
  for (int64_t i = 1; i <= last; ++i) response.add_steps(i);
  const auto schedule = MakeSchedule(
      {.generator = generator,
       .num_ranks = 2,
       .num_stages = 2,
       .num_microbatches = 4,
       .edges = {{EdgeKind::kActivation, "h1", StageId(0), StageId(1)}}});
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  if (!schedule.ok()) return response;
  Plan& plan = *response.mutable_plan();
  plan.mutable_job()->set_name("traced");
  plan.add_stages()->add_layers("embed");
  plan.mutable_stages(0)->add_layers("h1");
  plan.add_stages()->add_layers("head");
  *plan.mutable_schedule() = ToProto(*schedule);
  plan.add_edge_tensors()->set_dtype(DTYPE_FLOAT32);
  plan.mutable_edge_tensors(0)->add_shape(1000);
  CostModel costs;
  costs.link.latency = 20e-6;
  costs.stages.resize(2, {.forward = milliseconds * 1e-3,
                          .backward = milliseconds * 2e-3,
                          .update = 1e-4});
  const auto run = SimulateSteadyPeriod(*schedule, costs);
  EXPECT_TRUE(run.ok()) << run.status();
  if (!run.ok()) return response;
  for (const std::vector<TimelineEvent>& events : run->timeline.ranks) {
    StepTrace& trace = *response.add_ranks();
    trace.set_step(step);
    trace.set_round_trip_nanos(response.ranks_size() == 1 ? 0 : 30'000);
    const int64_t begin = std::llround(events[0].start * 1e9);
    trace.set_start_nanos(begin);
    for (const TimelineEvent& event : events) {
      const bool waited = event.inputs_made >= 0;
      const int64_t ended = std::llround(event.end * 1e9) - begin;
      const int64_t issued = std::llround(event.start * 1e9) - begin;
      trace.add_issued(issued);
      trace.add_started(waited ? ended : issued);
      trace.add_ended(ended);
    }
  }
  return response;
}

}  // namespace penstock
