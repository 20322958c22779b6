#ifndef PENSTOCK_COORDINATOR_CORE_CHECKPOINTED_LAYERS_H_
#define PENSTOCK_COORDINATOR_CORE_CHECKPOINTED_LAYERS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/manifest/manifest.h"
#include "proto/checkpoint.pb.h"
#include "proto/job.pb.h"

namespace penstock {

// What a whole checkpoint of the job's model holds: of each layer that owns
// parameters or running statistics those, in graph order; a tied parameter at
// its owner. Of emulated layers it is not known what they hold.
//   INVALID_ARGUMENT  the job's model is none; as BuildPlan says it.
absl::StatusOr<std::vector<ExpectedLayer>> CheckpointedLayers(const Job& job);

// Emulated layers may have none.
OptimizerFiles WantedOptimizerFiles(const Job& job);

// Whether `job` can start from a checkpoint.
//   FAILED_PRECONDITION  the model has changed: names layers and tensors that
//                        are missing, too many or of another shape; or the
//                        checkpoint has as many steps as the job is to make.
absl::Status CheckStart(const Job& job, const CheckpointManifest& checkpoint);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_CHECKPOINTED_LAYERS_H_
