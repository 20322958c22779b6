#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_TEST_SNAPSHOT_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_TEST_SNAPSHOT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proto/checkpoint.pb.h"
#include "stage_server/engine/engine_state.h"

namespace penstock {

// For tests: a snapshot after step 4 of layers 0 "embed" (two parameters, with
// optimizer state) and 2 "h0.norm" (one, with an older version in bfloat16);
// four files. Each byte is a function of the tensor's name and its place.
// `scale`: rows of the first parameter, to make it large.
EngineSnapshot TestSnapshot(int64_t scale = 1);

// Names of a model that has these layers and one more.
std::vector<std::string> TestLayerNames();

CheckpointId TestCheckpoint(int64_t step = 4);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_TEST_SNAPSHOT_H_
