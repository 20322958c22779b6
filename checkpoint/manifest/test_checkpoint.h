#ifndef PENSTOCK_CHECKPOINT_MANIFEST_TEST_CHECKPOINT_H_
#define PENSTOCK_CHECKPOINT_MANIFEST_TEST_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "checkpoint/manifest/manifest.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// For tests: a whole, valid, small checkpoint.
struct TestCheckpoint {
  CheckpointManifest manifest;
  // Content of each shard by its name.
  std::map<std::string, std::string> shards;
};

CheckpointId TestCheckpointId(absl::string_view job_id, int64_t step,
                              int64_t epoch);

// Weights and optimizer state of `num_layers` layers of two tensors; values
// follow from `seed`.
TestCheckpoint MakeTestCheckpoint(const CheckpointId& id, int num_layers = 2,
                                  uint64_t seed = 0);

// The layers it has.
std::vector<ExpectedLayer> ExpectedLayersOf(const TestCheckpoint& checkpoint);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_MANIFEST_TEST_CHECKPOINT_H_
