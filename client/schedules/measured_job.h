#ifndef PENSTOCK_CLIENT_SCHEDULES_MEASURED_JOB_H_
#define PENSTOCK_CLIENT_SCHEDULES_MEASURED_JOB_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/coordinator_service.pb.h"
#include "proto/profile.pb.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/measured_run.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// A step of a job as it ran, and as the simulator says it would; of a
// continuous schedule a repetition of its period (steady_period.h).
struct MeasuredJob {
  // Whose lists the timelines are of.
  Schedule schedule;
  int64_t step = 0;
  // Steps that the costs are medians of.
  std::vector<int64_t> cost_steps;
  // What the actions, messages and agreement of those steps took.
  CostModel costs;
  Timeline measured;
  Timeline predicted;
  // Of the slowest rank, and the simulated makespan or period.
  double measured_seconds = 0;
  double predicted_seconds = 0;
  WorkFractions fractions;
  // Index is the rank: what its clock may be off from rank 0's in the measured
  // step, in seconds: half of the round trip that it was set by.
  std::vector<double> clock_errors;
};

// The step `shown`; its prediction is a simulation of the plan's lists with the
// costs of `steps`, of which there is at least one, all of the same job. Pure.
//   INVALID_ARGUMENT, FAILED_PRECONDITION  what came does not fit together; as
//   MeasureFractions.
absl::StatusOr<MeasuredJob> MeasureJob(
    const GetTimelineResponse& shown,
    const std::vector<GetTimelineResponse>& steps);

// The costs as a profile: a layer a stage, named after its layers ("embed" or
// "embed..h3"), so that the model can be cut there and nowhere else. Of a
// backward that was only measured fused each half is given half of it. Times
// only, no memory. Pure.
wire::Profile ProfileOf(const MeasuredJob& job, const Plan& plan);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SCHEDULES_MEASURED_JOB_H_
