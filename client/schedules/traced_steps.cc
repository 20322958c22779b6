#include "client/schedules/traced_steps.h"

#include <cmath>

#include "gtest/gtest.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/lowering/lower.h"
#include "schedule/simulator/simulate.h"

namespace penstock {

GetTimelineResponse TracedStep(int64_t step, double milliseconds,
                               int64_t last) {
  GetTimelineResponse response;
  response.set_step(step);
  for (int64_t i = 1; i <= last; ++i) response.add_steps(i);
  const auto schedule = MakeFlushSchedule(
      {.generator = "one_f_one_b",
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
  const auto run = Simulate(*schedule, costs);
  EXPECT_TRUE(run.ok()) << run.status();
  if (!run.ok()) return response;
  for (size_t rank = 0; rank < run->ranks.size(); ++rank) {
    StepTrace& trace = *response.add_ranks();
    trace.set_step(step);
    trace.set_round_trip_nanos(rank == 0 ? 0 : 30'000);
    for (size_t i = 0; i < run->ranks[rank].size(); ++i) {
      const TimelineEvent& event = run->ranks[rank][i];
      const bool waited = event.inputs_made >= 0;
      trace.add_issued(std::llround(event.start * 1e9));
      trace.add_started(std::llround((waited ? event.end : event.start) * 1e9));
      trace.add_ended(std::llround(event.end * 1e9));
    }
  }
  return response;
}

}  // namespace penstock
