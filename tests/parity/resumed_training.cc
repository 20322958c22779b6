#include "tests/parity/resumed_training.h"

#include <algorithm>
#include <vector>

#include "coordinator/core/plan_builder.h"
#include "tests/parity/engine_threads.h"

namespace penstock {

absl::StatusOr<TrainingRecord> ResumedTraining::Run(const Job& job,
                                                    int64_t from,
                                                    int64_t last) {
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  if (!built.ok()) return built.status();
  std::map<int64_t, RestorePoint> made;
  ThreadOptions options;
  options.shards = shards_;
  options.checkpoints = &made;
  if (from > 0) options.restore = &checkpoints_.at(from);
  auto record = TrainInThreads(built->plan, static_cast<int>(last), options);
  for (auto& [step, point] : made) checkpoints_[step] = point;
  return record;
}

absl::StatusOr<TrainingRecord> RestOf(absl::StatusOr<TrainingRecord> whole,
                                      int64_t step) {
  if (!whole.ok()) return whole;
  for (std::vector<double>* values : {&whole->losses, &whole->gradient_norms}) {
    const auto size = static_cast<int64_t>(values->size());
    values->erase(values->begin(), values->begin() + std::min(step, size));
  }
  return whole;
}

}  // namespace penstock
