#include "tests/bench/spin_backend.h"

#include <ATen/ops/empty.h>

#include "base/clock.h"

namespace penstock {

absl::Status SpinBackend::BeginStep(int64_t) { return absl::OkStatus(); }

absl::Status SpinBackend::Forward(StageId, MicrobatchId,
                                  std::optional<int32_t>) {
  return Spin();
}

absl::Status SpinBackend::Recompute(StageId, MicrobatchId,
                                    std::optional<int32_t>) {
  return Spin();
}

absl::Status SpinBackend::Backward(StageId, MicrobatchId, Half,
                                   std::optional<int32_t>) {
  return Spin();
}

absl::Status SpinBackend::BackwardInput(StageId, MicrobatchId, Half,
                                        std::optional<int32_t>) {
  return Spin();
}

absl::Status SpinBackend::BackwardWeight(StageId, MicrobatchId, Half,
                                         std::optional<int32_t>) {
  return Spin();
}

absl::StatusOr<at::Tensor> SpinBackend::Outgoing(const Action&) {
  return at::empty({elements_}, at::kFloat);
}

absl::StatusOr<at::Tensor> SpinBackend::Buffer(const Action&) {
  return at::empty({elements_}, at::kFloat);
}

absl::Status SpinBackend::Incoming(const Action&, at::Tensor) {
  return absl::OkStatus();
}

absl::StatusOr<std::vector<at::Tensor>> SpinBackend::Gradients(StageId) {
  return std::vector<at::Tensor>();
}

absl::StatusOr<AgreementParts> SpinBackend::NormParts() {
  return AgreementParts();
}

absl::Status SpinBackend::SetNorm(const Agreement&) { return absl::OkStatus(); }

absl::Status SpinBackend::Update(StageId, std::optional<int32_t>) {
  return absl::OkStatus();
}

absl::Status SpinBackend::EndStep() { return absl::OkStatus(); }

absl::Status SpinBackend::EndList() { return absl::OkStatus(); }

absl::Status SpinBackend::BeginEvaluation() { return absl::OkStatus(); }

absl::StatusOr<AgreementParts> SpinBackend::EvaluationParts() {
  return AgreementParts();
}

absl::Status SpinBackend::EndEvaluation(std::optional<double>) {
  return absl::OkStatus();
}

absl::Status SpinBackend::Spin() const {
  const int64_t end = MonotonicNanos() + action_nanos_;
  while (action_nanos_ > 0 && MonotonicNanos() < end) {
  }
  return absl::OkStatus();
}

}  // namespace penstock
