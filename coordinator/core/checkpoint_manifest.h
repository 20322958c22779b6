#ifndef PENSTOCK_COORDINATOR_CORE_CHECKPOINT_MANIFEST_H_
#define PENSTOCK_COORDINATOR_CORE_CHECKPOINT_MANIFEST_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/state.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// The manifest of the job's pending checkpoint, of which every rank has told
// its files. Pure.
//   DATA_LOSS            the ranks' files do not cover the model exactly, or
//                        the ranks contradict each other; says which and where.
//   FAILED_PRECONDITION  as DATA_LOSS, of layers.
absl::StatusOr<CheckpointManifest> ManifestOf(const JobRecord& job,
                                              const CheckpointId& id,
                                              absl::Time now);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_CHECKPOINT_MANIFEST_H_
