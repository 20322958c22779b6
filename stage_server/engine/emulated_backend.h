#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_BACKEND_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_BACKEND_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"
#include "stage_server/engine/emulated_state.h"
#include "stage_server/engine/engine_backend.h"
#include "stage_server/engine/virtual_device.h"

namespace penstock {

// What a stage's actions take, in seconds of one microbatch (`update`: of a
// step), and what they keep, in bytes, as proto/profile.proto has it.
struct EmulatedStage {
  double forward = 0;
  double input_gradient = 0;
  double weight_gradient = 0;
  // B.
  double backward = 0;
  double recompute = 0;
  double update = 0;
  int64_t parameter_bytes = 0;
  int64_t state_bytes = 0;
  int64_t saved_bytes = 0;
  int64_t pending_weight_bytes = 0;
  // Kept instead of `saved_bytes` by a forward that is recomputed.
  int64_t input_bytes = 0;
};

// What a rank of emulated devices is made of. Plain value.
struct EmulatedRank {
  RankId rank;
  // Only this rank's list is read.
  Schedule schedule;
  // Index is the stage; times already those of this rank's device.
  std::vector<EmulatedStage> stages;
  // Index is the edge; float32.
  std::vector<TensorSpec> edge_tensors;
  // Samples of a step, told as its tokens.
  int64_t batch_size = 0;
  // Those with weights that this rank holds, and of them those that it speaks
  // for; by layer.
  std::vector<EmulatedLayer> layers;
  std::vector<EmulatedLayer> own_layers;
  // Of all layers.
  std::vector<std::string> layer_names;
};

// Stages on a virtual device: F, I, W, B, R and U take their time and compute
// nothing; everything around them is real. What goes over an edge has the size
// of the real thing and carries the number of its microbatch, which is looked
// at when it comes; of a schedule that never drains each further version counts
// the stage's parameters once more. Memory is counted as the stages have it,
// not taken. Pairs run one after the other, as on a CPU.
class EmulatedBackend : public EngineBackend {
 public:
  //   INVALID_ARGUMENT  an edge that carries no float32, or a tied weight.
  //   else              as ReadEmulatedState, unless `restore` is null.
  static absl::StatusOr<std::unique_ptr<EmulatedBackend>> Make(
      EmulatedRank rank, StateSource* restore = nullptr);

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

  std::optional<double> EvaluationLoss() const override { return {}; }
  // No loss, no norm; the batch's samples as tokens.
  void Report(StepResult& result) const override;
  // As the stages have it: state, and what is kept of microbatches.
  MemoryUse CountedMemory() const override;
  int64_t weight_queue_bytes() const override { return 0; }
  // None: there are no weights.
  std::vector<LayerDigestResult> Digests() const override;
  absl::Status PlanSnapshot(int64_t step) override;
  absl::StatusOr<EngineSnapshot> TakeSnapshot() override;

  // The most bytes that were counted at one time in any step so far.
  int64_t peak_bytes() const { return peak_bytes_; }

 private:
  explicit EmulatedBackend(EmulatedRank rank);

  // Tensors of one edge, to be used again once nobody else has them.
  at::Tensor Take(EdgeId edge, Half half);
  const EmulatedStage& StageOf(StageId stage) const {
    return rank_.stages[stage.value()];
  }
  // Whether the list recomputes it; of a schedule that never drains, whether it
  // does any of the stage.
  bool IsRecomputed(StageId stage, MicrobatchId microbatch) const;
  void FindRecomputed(const std::vector<Action>& actions);
  bool Holds(int stage) const;
  // Of all versions, with what else is kept as long as the job runs.
  int64_t StateBytes(int stage) const;
  int64_t WeightBytes(int stage) const;
  void Count(int64_t bytes);

  const EmulatedRank rank_;
  VirtualDevice device_;
  std::set<std::pair<StageId, MicrobatchId>> recomputed_;
  // By edge and whether it carries halves.
  std::map<std::pair<EdgeId, bool>, std::vector<at::Tensor>> pool_;
  std::map<StageId, at::Tensor> gradients_;
  // 0 where messages are numbered on through the run.
  int64_t step_ = 0;
  int64_t snapshot_step_ = 0;
  int64_t bytes_ = 0;
  int64_t peak_bytes_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_BACKEND_H_
