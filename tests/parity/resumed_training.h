#ifndef PENSTOCK_TESTS_PARITY_RESUMED_TRAINING_H_
#define PENSTOCK_TESTS_PARITY_RESUMED_TRAINING_H_

#include <cstdint>
#include <map>
#include <memory>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"
#include "proto/stage_service.pb.h"
#include "stage_server/checkpoint/memory_shard_store.h"
#include "tests/parity/reference_loop.h"

namespace penstock {

// A training that may be stopped after any step and go on from there, with
// other jobs: each run makes a checkpoint after each of its steps.
class ResumedTraining {
 public:
  // Up to step `last`, from the checkpoint after step `from`; 0: from the
  // beginning. The record is of these steps.
  absl::StatusOr<TrainingRecord> Run(const Job& job, int64_t from,
                                     int64_t last);

  // To the end of the job.
  absl::StatusOr<TrainingRecord> Finish(const Job& job, int64_t from) {
    return Run(job, from, job.steps());
  }

  // The one made last after that step.
  RestorePoint& checkpoint(int64_t step) { return checkpoints_.at(step); }

 private:
  const std::shared_ptr<ShardMemory> shards_ = std::make_shared<ShardMemory>();
  std::map<int64_t, RestorePoint> checkpoints_;
};

// What a whole run has after `step`, where no step was skipped.
absl::StatusOr<TrainingRecord> RestOf(absl::StatusOr<TrainingRecord> whole,
                                      int64_t step);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_RESUMED_TRAINING_H_
