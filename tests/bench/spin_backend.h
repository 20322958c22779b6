#ifndef PENSTOCK_TESTS_BENCH_SPIN_BACKEND_H_
#define PENSTOCK_TESTS_BENCH_SPIN_BACKEND_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/action.h"
#include "stage_server/engine/agreement.h"
#include "stage_server/engine/stage_backend.h"

namespace penstock {

// Stages that compute nothing and may occupy their core over it, so that what
// an interpreter costs can be seen. Tensors are made and handed over as for
// real ones. Used by one thread.
class SpinBackend : public StageBackend {
 public:
  // Every compute action spins for `action_nanos`; messages are of `elements`
  // float32.
  SpinBackend(int64_t action_nanos, int64_t elements)
      : action_nanos_(action_nanos), elements_(elements) {}

  absl::Status BeginStep(int64_t step) override;
  absl::Status Forward(StageId stage, MicrobatchId microbatch,
                       std::optional<int32_t> version) override;
  absl::Status Recompute(StageId stage, MicrobatchId microbatch,
                         std::optional<int32_t> version) override;
  absl::Status Backward(StageId stage, MicrobatchId microbatch, Half half,
                        std::optional<int32_t> version) override;
  absl::Status BackwardInput(StageId stage, MicrobatchId microbatch, Half half,
                             std::optional<int32_t> version) override;
  absl::Status BackwardWeight(StageId stage, MicrobatchId microbatch, Half half,
                              std::optional<int32_t> version) override;
  absl::StatusOr<at::Tensor> Outgoing(const Action& send) override;
  absl::StatusOr<at::Tensor> Buffer(const Action& receive) override;
  absl::Status Incoming(const Action& receive, at::Tensor tensor) override;
  absl::StatusOr<std::vector<at::Tensor>> Gradients(StageId stage) override;
  absl::StatusOr<AgreementParts> NormParts() override;
  absl::Status SetNorm(const Agreement& agreement) override;
  absl::Status Update(StageId stage, std::optional<int32_t> version) override;
  absl::Status EndStep() override;
  absl::Status EndList() override;
  absl::Status BeginEvaluation() override;
  absl::StatusOr<AgreementParts> EvaluationParts() override;
  absl::Status EndEvaluation(std::optional<double> mean_loss) override;

 private:
  absl::Status Spin() const;

  const int64_t action_nanos_;
  const int64_t elements_;
};

}  // namespace penstock

#endif  // PENSTOCK_TESTS_BENCH_SPIN_BACKEND_H_
