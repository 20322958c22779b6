#ifndef PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_BACKEND_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_BACKEND_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stage_server/engine/engine.h"
#include "stage_server/engine/engine_state.h"
#include "stage_server/engine/stage_backend.h"

namespace penstock {

// What an engine is made of: a backend that can also say how a step went.
class EngineBackend : public StageBackend {
 public:
  // Of the step just run: everything but its number and times.
  virtual void Report(StepResult& result) const = 0;

  // Of the evaluation just run: mean loss, on the rank that tells the loss.
  virtual std::optional<double> EvaluationLoss() const = 0;

  // What it holds by its own count, weights, gradients and optimizer state
  // first of all, in `peak_bytes` too. What libtorch gives out in a step is
  // measured beside it.
  virtual MemoryUse CountedMemory() const = 0;
  // Of the latter, what the weight gradients hold that are put off now.
  virtual int64_t weight_queue_bytes() const = 0;

  // As Engine; `step` is not before the present one.
  virtual absl::Status PlanSnapshot(int64_t step) = 0;
  // The planned one, when its step has ended.
  virtual absl::StatusOr<EngineSnapshot> TakeSnapshot() = 0;

  // As Engine::Digests.
  virtual std::vector<LayerDigestResult> Digests() const = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_BACKEND_H_
