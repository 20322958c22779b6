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
  // Of those of them that every rank has traced.
  std::vector<TimelineRow> timelines;
};

// Keeps `reports` of `rank`, drops the ones already assembled or already kept,
// and takes every step out that all ranks have now reported: in order, without
// gaps, after job.info.latest().step(). Updates `job`'s latest record, totals,
// means and fractions. Traces that do not fit the plan are dropped.
FinishedSteps TakeReports(JobRecord& job, int rank, const StepReports& reports,
                          absl::Time now);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_PROGRESS_H_
