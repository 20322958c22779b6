// Updates of stages that do not wait for other stages.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "models/layers/torch_status.h"
#include "stage_server/engine/learning_rate.h"
#include "stage_server/engine/model_backend.h"

namespace penstock {

absl::StatusOr<std::vector<at::Tensor>> ModelBackend::GradientsAlone(
    StageId stage) {
  Part& part = parts_.at(stage);
  const int64_t update = part.num_reduced;
  const int64_t first = FirstPieceOf(stage, update);
  if (!part.module->HasWholeGradient() ||
      part.module->first_of_update().value() != first) {
    return absl::InternalError(absl::StrCat(
        "stage ", stage.value(),
        " has not yet the gradient of all its microbatches of update ",
        update + 1));
  }
  return CatchTorch("gradients to reduce", [&] {
    std::vector<at::Tensor> gradients =
        FinishedGradients(stage, part.weights->GradientSlotOf(update));
    if (part.module->stage().loss_position.has_value()) {
      gradients.push_back(LossesToReduce(stage, update));
    }
    ++part.num_reduced;
    part.module->BeginUpdate(
        1.0f, MicrobatchId(static_cast<int>(FirstPieceOf(stage, update + 1))));
    return gradients;
  });
}

// Zeros for those of other ranks.
at::Tensor ModelBackend::LossesToReduce(StageId stage, int64_t update) {
  const int count = plan_.PiecesPerUpdate(stage);
  at::Tensor& losses = parts_.at(stage).losses[update];
  losses = at::zeros({count}, at::kFloat);
  const auto first = static_cast<int>(FirstPieceOf(stage, update));
  for (int i = 0; i < count; ++i) {
    const InStep at = StepOf(MicrobatchId(first + i));
    losses.mutable_data_ptr<float>()[i] =
        losses_.Of(at.step)[at.piece].value_or(0);
  }
  return losses;
}

void ModelBackend::TakeReducedLosses(StageId stage, int64_t update) {
  std::map<int64_t, at::Tensor>& losses = parts_.at(stage).losses;
  const auto found = losses.find(update);
  if (found == losses.end()) return;
  const auto first = static_cast<int>(FirstPieceOf(stage, update));
  for (int i = 0; i < plan_.PiecesPerUpdate(stage); ++i) {
    const InStep at = StepOf(MicrobatchId(first + i));
    losses_.Record(at.step, at.piece, found->second.const_data_ptr<float>()[i]);
  }
  losses.erase(found);
}

absl::Status ModelBackend::UpdateAlone(StageId stage,
                                       std::optional<int32_t> version) {
  Part& part = parts_.at(stage);
  const int64_t update = part.weights->newest_version();
  const std::string where = absl::StrCat("stage ", stage.value());
  if (version != update + 1) {
    return absl::InternalError(
        absl::StrCat(where, " is to make weight version ", version.value_or(0),
                     ", its newest is ", update));
  }
  const bool is_shared = part.module->stage().is_shared;
  if (is_shared ? part.num_reduced <= update
                : !part.module->HasWholeGradient()) {
    return absl::InternalError(absl::StrCat(
        where, " has not yet the gradient of all its microbatches"));
  }
  const auto first = static_cast<int>(FirstPieceOf(stage, update));
  PENSTOCK_RETURN_IF_ERROR(part.module->CommitStatistics(MicrobatchId(first)));
  TakeReducedLosses(stage, update);
  PENSTOCK_RETURN_IF_ERROR(CatchTorch(absl::StrCat("update of ", where), [&] {
    return UpdateWeights(stage, update);
  }));
  CopyIfDue(part);
  if (is_shared) return absl::OkStatus();
  part.module->BeginUpdate(
      1.0f, MicrobatchId(static_cast<int>(FirstPieceOf(stage, update + 1))));
  return absl::OkStatus();
}

absl::Status ModelBackend::UpdateWeights(StageId stage, int64_t update) {
  const at::NoGradGuard no_grad;
  const std::string where = absl::StrCat("stage ", stage.value());
  Part& part = parts_.at(stage);
  const int slot = part.weights->GradientSlotOf(update);
  PENSTOCK_RETURN_IF_ERROR(AddSitesAlone(stage, update));
  const GlobalNorm norm = CombineSquares(SquaresOf(part, slot));
  if (norm.broken_layer.has_value()) {
    return WithContext(
        BrokenGradient(update / UpdatesPerStep(stage), *norm.broken_layer),
        where);
  }
  const double share = plan_.GradientShare(stage);
  UpdateArguments arguments;
  arguments.learning_rate =
      LearningRate(plan_.job.learning_rate_schedule(),
                   plan_.job.optimizer().learning_rate(),
                   plan_.job.steps() * UpdatesPerStep(stage), update) *
      plan_.RateFactor(stage);
  arguments.update = update + part.earlier_updates;
  arguments.gradient_scale =
      ClipScale(share * norm.norm, optimizer_.clip_norm()) *
      static_cast<float>(share);
  PENSTOCK_RETURN_IF_ERROR(
      WithContext(part.weights->Update(optimizer_, arguments, device_), where));
  device_.Synchronize();
  learning_rate_ = arguments.learning_rate;
  return absl::OkStatus();
}

}  // namespace penstock
