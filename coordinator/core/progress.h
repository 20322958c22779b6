#ifndef PENSTOCK_COORDINATOR_CORE_PROGRESS_H_
#define PENSTOCK_COORDINATOR_CORE_PROGRESS_H_

#include <vector>

#include "absl/time/time.h"
#include "coordinator/core/state.h"

namespace penstock {

// One step of a job from its ranks' reports. `reports` is not empty; all are
// of the same step.
//
//   step_seconds       the slowest rank's
//   bubble_fraction    mean over the ranks of 1 - busy / step, each by its own
//                      executor's clock; never below 0
//   tokens_per_second  tokens of the rank that has them / step_seconds
//   loss, norm, rate   of the rank that has them
ProgressRecord AssembleStep(const std::vector<StepReport>& reports,
                            absl::Time now);

struct FinishedSteps {
  std::vector<StepRow> steps;
  // Of those, and of earlier ones, that every rank has traced by now.
  std::vector<TimelineRow> timelines;
};

// Keeps `reports` of `rank`, drops the ones already assembled or already kept,
// and takes every step out that all ranks have now reported: in order, without
// gaps, after job.info.latest().step(). Updates `job`'s latest record, totals,
// means and fractions; steps up to `job.furthest_step` are not counted again in
// totals and means. Ranks of a continuous job may be some steps apart, and a
// trace may come after the report of its step. Traces that do not fit the plan,
// or that not all ranks have by some steps later, are dropped.
FinishedSteps TakeReports(JobRecord& job, int rank, const StepReports& reports,
                          absl::Time now);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_PROGRESS_H_
