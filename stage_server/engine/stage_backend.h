#ifndef PENSTOCK_STAGE_SERVER_ENGINE_STAGE_BACKEND_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_STAGE_BACKEND_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/action.h"
#include "stage_server/engine/agreement.h"

namespace penstock {

// What the interpreter asks of a rank's stages: to compute, to hand over what
// a send takes, to take what a receive brought. The interpreter knows nothing
// of layers or optimizers, a backend nothing of channels and order.
//
// Microbatches are numbered as in the list that is run (run_list.h): from 0 in
// each step, or on through the run where that is never drained. There `version`
// names the weights that an action reads, or that an update makes; it is unset
// where a flush leaves only one.
//
// Used by the executor thread alone. After an error it is of no more use. A
// call that a sound list would not make at that place returns INTERNAL.
class StageBackend {
 public:
  virtual ~StageBackend() = default;

  // Before the first action of a step; `step` counts from 0.
  virtual absl::Status BeginStep(int64_t step) = 0;

  // Of a pair of microbatches each is a call of its own.
  //   INTERNAL  a version that is not there; names stage and microbatch.
  virtual absl::Status Forward(StageId stage, MicrobatchId microbatch,
                               std::optional<int32_t> version) = 0;
  virtual absl::Status Recompute(StageId stage, MicrobatchId microbatch,
                                 std::optional<int32_t> version) = 0;
  // `BackwardInput` and then `BackwardWeight`, of each half.
  virtual absl::Status Backward(StageId stage, MicrobatchId microbatch,
                                Half half, std::optional<int32_t> version) = 0;
  virtual absl::Status BackwardInput(StageId stage, MicrobatchId microbatch,
                                     Half half,
                                     std::optional<int32_t> version) = 0;
  virtual absl::Status BackwardWeight(StageId stage, MicrobatchId microbatch,
                                      Half half,
                                      std::optional<int32_t> version) = 0;

  // What a send carries, of its half: contiguous; nobody writes to it before
  // the step ends.
  virtual absl::StatusOr<at::Tensor> Outgoing(const Action& send) = 0;

  // New memory for what a receive brings: contiguous. May be asked for long
  // before `Incoming`, and in the list's order.
  virtual absl::StatusOr<at::Tensor> Buffer(const Action& receive) = 0;

  // What came.
  virtual absl::Status Incoming(const Action& receive, at::Tensor tensor) = 0;

  // What G of the stage sums over the ranks that hold it: contiguous float32,
  // to be overwritten with the sums before N, or where ranks do not agree on a
  // norm, before the U of the same version.
  virtual absl::StatusOr<std::vector<at::Tensor>> Gradients(StageId stage) = 0;

  // This rank's part of what is agreed on; the step's gradients are complete.
  virtual absl::StatusOr<AgreementParts> NormParts() = 0;
  // What the ranks agreed on.
  //   FAILED_PRECONDITION  a gradient is not finite, and the step cannot be
  //                        skipped; names its layer.
  virtual absl::Status SetNorm(const Agreement& agreement) = 0;

  //   FAILED_PRECONDITION  as SetNorm, where ranks do not agree on a norm.
  virtual absl::Status Update(StageId stage,
                              std::optional<int32_t> version) = 0;

  // After the last action of a step.
  //   INTERNAL  the list left something undone.
  virtual absl::Status EndStep() = 0;

  // Where a list, of a step or of a run, has been drained, after `EndStep`.
  //   INTERNAL  something is still in flight.
  virtual absl::Status EndList() = 0;

  // From here to `EndEvaluation`, between a list and the next, forwards are of
  // microbatches held out from training, numbered from 0, read the newest
  // weights and leave nothing behind.
  //   FAILED_PRECONDITION  there is nothing to evaluate on.
  virtual absl::Status BeginEvaluation() = 0;
  // The losses by piece, where several ranks compute them.
  virtual absl::StatusOr<AgreementParts> EvaluationParts() = 0;
  // `mean_loss`: as they then agree.
  virtual absl::Status EndEvaluation(std::optional<double> mean_loss) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_STAGE_BACKEND_H_
