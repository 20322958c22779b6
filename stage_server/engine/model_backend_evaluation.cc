#include <utility>

#include "base/status_macros.h"
#include "stage_server/engine/model_backend.h"

namespace penstock {

absl::Status ModelBackend::BeginEvaluation() {
  if (!held_out_.has_value()) {
    return absl::FailedPreconditionError("the job has nothing to evaluate on");
  }
  evaluating_ = true;
  held_out_->Begin();
  return absl::OkStatus();
}

absl::Status ModelBackend::EvaluatePiece(StageId stage, MicrobatchId piece) {
  Part& part = parts_.at(stage);
  ForwardRequest request;
  request.microbatch = piece;
  request.context = {plan_.job.seed(), /*step=*/0, piece.value(),
                     /*training=*/false};
  request.slot = part.weights->newest_slot();
  for (const std::string& input : part.module->stage().data_inputs) {
    PENSTOCK_ASSIGN_OR_RETURN(at::Tensor value,
                              held_out_->Read(input, piece.value()));
    request.data.push_back(std::move(value));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::optional<float> loss,
                            part.module->Evaluate(std::move(request), store_));
  if (loss.has_value()) held_out_->Record(piece.value(), *loss);
  return absl::OkStatus();
}

absl::StatusOr<AgreementParts> ModelBackend::EvaluationParts() {
  AgreementParts parts;
  if (plan_.loss_places[plan_.rank.value()] > 0) {
    parts.losses = held_out_->losses();
  }
  return parts;
}

absl::Status ModelBackend::EndEvaluation(std::optional<double> mean_loss) {
  evaluating_ = false;
  evaluation_loss_.reset();
  if (has_loss_) {
    evaluation_loss_ = mean_loss.has_value() ? *mean_loss : held_out_->Mean();
  }
  return EndList();
}

std::optional<double> ModelBackend::EvaluationLoss() const {
  return evaluation_loss_;
}

}  // namespace penstock
