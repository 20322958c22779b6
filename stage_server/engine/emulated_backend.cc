#include "stage_server/engine/emulated_backend.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/layers/torch_status.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

double TimeOf(double seconds, Half half) {
  return half == Half::kWhole ? seconds : seconds / 2;
}

int64_t BytesOf(int64_t bytes, Half half) {
  if (half == Half::kWhole) return bytes;
  return half == Half::kFirst ? bytes - bytes / 2 : bytes / 2;
}

// What a message carries in its first element, as bits.
int32_t StampOf(int64_t step, const Action& action) {
  constexpr int64_t kSteps = 1 << 10;
  constexpr int64_t kMicrobatches = 1 << 18;
  return static_cast<int32_t>((step % kSteps) * kMicrobatches * 4 +
                              (action.microbatch.value() % kMicrobatches) * 4 +
                              static_cast<int>(action.half));
}

int32_t* StampIn(const at::Tensor& tensor) {
  return tensor.numel() == 0 ? nullptr
                             : static_cast<int32_t*>(tensor.mutable_data_ptr());
}

}  // namespace

EmulatedBackend::EmulatedBackend(EmulatedRank rank) : rank_(std::move(rank)) {
  const auto index = static_cast<size_t>(rank_.rank.value());
  for (const RankLists* lists : {&rank_.schedule.ranks, &rank_.schedule.period,
                                 &rank_.schedule.epilogue}) {
    if (!lists->empty()) FindRecomputed((*lists)[index]);
  }
  for (int stage = 0; stage < rank_.schedule.num_stages(); ++stage) {
    if (Holds(stage)) Count(StateBytes(stage));
  }
}

void EmulatedBackend::FindRecomputed(const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    if (action.op != Op::kRecompute) continue;
    recomputed_.emplace(action.stage, rank_.schedule.is_continuous()
                                          ? MicrobatchId()
                                          : action.microbatch);
  }
}

bool EmulatedBackend::Holds(int stage) const {
  const std::vector<RankId>& holders = rank_.schedule.placement[stage];
  return std::find(holders.begin(), holders.end(), rank_.rank) != holders.end();
}

int64_t EmulatedBackend::WeightBytes(int stage) const {
  const int64_t versions = rank_.schedule.is_continuous()
                               ? rank_.schedule.versions[stage].delay + 1
                               : 1;
  return versions * rank_.stages[stage].parameter_bytes;
}

int64_t EmulatedBackend::StateBytes(int stage) const {
  return rank_.stages[stage].state_bytes + WeightBytes(stage) -
         rank_.stages[stage].parameter_bytes;
}

absl::StatusOr<std::unique_ptr<EmulatedBackend>> EmulatedBackend::Make(
    EmulatedRank rank, StateSource* restore) {
  for (size_t i = 0; i < rank.schedule.edges.size(); ++i) {
    const Edge& edge = rank.schedule.edges[i];
    if (edge.kind == EdgeKind::kActivation && i < rank.edge_tensors.size() &&
        rank.edge_tensors[i].dtype() == DTYPE_FLOAT32) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("plan: edge ", i, " (", edge.tensor,
                     "): emulated devices exchange float32 activations only"));
  }
  if (restore != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(
        ReadEmulatedState(rank.layers, rank.layer_names, *restore));
  }
  return std::unique_ptr<EmulatedBackend>(new EmulatedBackend(std::move(rank)));
}

absl::Status EmulatedBackend::BeginStep(int64_t step) {
  if (!rank_.schedule.is_continuous()) step_ = step;
  return absl::OkStatus();
}

absl::Status EmulatedBackend::Forward(StageId stage, MicrobatchId microbatch,
                                      std::optional<int32_t>) {
  const EmulatedStage& cost = StageOf(stage);
  device_.Occupy(cost.forward);
  Count(IsRecomputed(stage, microbatch) ? cost.input_bytes : cost.saved_bytes);
  return absl::OkStatus();
}

absl::Status EmulatedBackend::Recompute(StageId stage, MicrobatchId,
                                        std::optional<int32_t>) {
  const EmulatedStage& cost = StageOf(stage);
  device_.Occupy(cost.recompute);
  Count(cost.saved_bytes - cost.input_bytes);
  return absl::OkStatus();
}

absl::Status EmulatedBackend::Backward(StageId stage, MicrobatchId, Half half,
                                       std::optional<int32_t>) {
  device_.Occupy(TimeOf(StageOf(stage).backward, half));
  Count(-BytesOf(StageOf(stage).saved_bytes, half));
  return absl::OkStatus();
}

absl::Status EmulatedBackend::BackwardInput(StageId stage, MicrobatchId,
                                            Half half, std::optional<int32_t>) {
  const EmulatedStage& cost = StageOf(stage);
  device_.Occupy(TimeOf(cost.input_gradient, half));
  Count(BytesOf(cost.pending_weight_bytes, half) -
        BytesOf(cost.saved_bytes, half));
  return absl::OkStatus();
}

absl::Status EmulatedBackend::BackwardWeight(StageId stage, MicrobatchId,
                                             Half half,
                                             std::optional<int32_t>) {
  const EmulatedStage& cost = StageOf(stage);
  device_.Occupy(TimeOf(cost.weight_gradient, half));
  Count(-BytesOf(cost.pending_weight_bytes, half));
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> EmulatedBackend::Outgoing(const Action& send) {
  PENSTOCK_ASSIGN_OR_RETURN(const at::Tensor tensor,
                            CatchTorch("making a message", [&] {
                              return Take(send.edge, send.half);
                            }));
  if (int32_t* stamp = StampIn(tensor)) *stamp = StampOf(step_, send);
  return tensor;
}

absl::StatusOr<at::Tensor> EmulatedBackend::Buffer(const Action& receive) {
  return CatchTorch("making a buffer",
                    [&] { return Take(receive.edge, receive.half); });
}

absl::Status EmulatedBackend::Incoming(const Action& receive,
                                       at::Tensor tensor) {
  const int32_t* stamp = StampIn(tensor);
  const int32_t want = StampOf(step_, receive);
  if (stamp == nullptr || *stamp == want) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(ToString(receive, rank_.schedule.edges),
                   " brought the message ", *stamp, ", want ", want));
}

absl::StatusOr<std::vector<at::Tensor>> EmulatedBackend::Gradients(
    StageId stage) {
  at::Tensor& gradient = gradients_[stage];
  if (!gradient.defined()) {
    const int64_t bytes = StageOf(stage).parameter_bytes;
    PENSTOCK_RETURN_IF_ERROR(CatchTorch("making a gradient", [&] {
      gradient = at::zeros({bytes / 4}, at::kFloat);
    }));
  }
  return std::vector<at::Tensor>{gradient};
}

absl::StatusOr<AgreementParts> EmulatedBackend::NormParts() {
  return AgreementParts();
}

absl::Status EmulatedBackend::SetNorm(const Agreement&) {
  return absl::OkStatus();
}

absl::Status EmulatedBackend::Update(StageId stage, std::optional<int32_t>) {
  device_.Occupy(StageOf(stage).update);
  return absl::OkStatus();
}

absl::Status EmulatedBackend::EndStep() { return absl::OkStatus(); }

absl::Status EmulatedBackend::EndList() { return absl::OkStatus(); }

absl::Status EmulatedBackend::BeginEvaluation() {
  return absl::FailedPreconditionError("emulated devices evaluate nothing");
}

absl::StatusOr<AgreementParts> EmulatedBackend::EvaluationParts() {
  return AgreementParts();
}

absl::Status EmulatedBackend::EndEvaluation(std::optional<double>) {
  return absl::OkStatus();
}

void EmulatedBackend::Report(StepResult& result) const {
  result.tokens = rank_.batch_size;
}

absl::Status EmulatedBackend::PlanSnapshot(int64_t step) {
  snapshot_step_ = step;
  return absl::OkStatus();
}

absl::StatusOr<EngineSnapshot> EmulatedBackend::TakeSnapshot() {
  return EmulatedSnapshot(rank_.own_layers, snapshot_step_);
}

std::vector<LayerDigestResult> EmulatedBackend::Digests() const { return {}; }

at::Tensor EmulatedBackend::Take(EdgeId edge, Half half) {
  std::vector<at::Tensor>& pool = pool_[{edge, half != Half::kWhole}];
  for (const at::Tensor& tensor : pool) {
    if (tensor.use_count() == 1) return tensor;
  }
  int64_t elements = 1;
  for (const int64_t size : rank_.edge_tensors[edge.value()].shape()) {
    elements *= size;
  }
  if (half != Half::kWhole) elements = (elements + 1) / 2;
  return pool.emplace_back(at::zeros({elements}, at::kFloat));
}

bool EmulatedBackend::IsRecomputed(StageId stage,
                                   MicrobatchId microbatch) const {
  return recomputed_.contains(
      {stage, rank_.schedule.is_continuous() ? MicrobatchId() : microbatch});
}

MemoryUse EmulatedBackend::CountedMemory() const {
  MemoryUse use;
  int64_t state = 0;
  for (int stage = 0; stage < rank_.schedule.num_stages(); ++stage) {
    if (!Holds(stage)) continue;
    state += StateBytes(stage);
    use.set_weight_bytes(use.weight_bytes() + WeightBytes(stage));
  }
  // A profile does not tell gradients from the optimizer's state.
  use.set_optimizer_bytes(std::max<int64_t>(0, state - use.weight_bytes()));
  use.set_activation_bytes(peak_bytes_ - state);
  use.set_peak_bytes(peak_bytes_);
  return use;
}

void EmulatedBackend::Count(int64_t bytes) {
  bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, bytes_);
}

}  // namespace penstock
