#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_STATE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stage_server/engine/engine_state.h"

namespace penstock {

// A layer of an emulated model as checkpoints see it.
struct EmulatedLayer {
  int layer = 0;
  std::string name;
  // Of its weights, and of its optimizer's state.
  int64_t weight_bytes = 0;
  int64_t optimizer_bytes = 0;
};

// The state of these layers after `step`: of each that has weights a float32
// tensor "<layer>.weight" and "<layer>.weight/state", of the size of the real
// ones. All share memory for the largest of them.
//   RESOURCE_EXHAUSTED
absl::StatusOr<EngineSnapshot> EmulatedSnapshot(
    const std::vector<EmulatedLayer>& layers, int64_t step);

// Reads all of such a state. `model`: names of all layers.
//   DATA_LOSS  it is not what `EmulatedSnapshot` has made; else as
//              StateSource::Fill.
absl::Status ReadEmulatedState(const std::vector<EmulatedLayer>& layers,
                               const std::vector<std::string>& model,
                               StateSource& source);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_STATE_H_
