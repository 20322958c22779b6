#ifndef PENSTOCK_CLIENT_COMMANDS_TIMELINE_STEP_H_
#define PENSTOCK_CLIENT_COMMANDS_TIMELINE_STEP_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/follow/coordinator_client.h"
#include "client/schedules/measured_job.h"
#include "proto/plan.pb.h"

namespace penstock {

// A traced step of a job, with what it was planned to be.
struct TimelineStep {
  MeasuredJob job;
  Plan plan;
};

// How many of the newest steps a prediction takes its costs from.
inline constexpr int kCostSteps = 8;

// The step; without one the newest, predicted from the last `kCostSteps`.
// Errors are those of GetTimeline and MeasureJob.
absl::StatusOr<TimelineStep> FetchTimelineStep(CoordinatorClient& coordinator,
                                               const std::string& job,
                                               std::optional<int64_t> step);

// Measured above predicted.
std::string TimelineStepSvg(const TimelineStep& step);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_COMMANDS_TIMELINE_STEP_H_
