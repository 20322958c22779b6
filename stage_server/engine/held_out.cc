#include "stage_server/engine/held_out.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

// Keeps the draws of an evaluation apart from those of the training.
constexpr uint64_t kHeldOut = 0x68656c646f7574;

}  // namespace

absl::StatusOr<HeldOut> HeldOut::Open(const RankPlan& plan,
                                      at::ScalarType activation_type,
                                      bool reads) {
  const EvaluationSpec& spec = plan.job.evaluation();
  if (spec.microbatches() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("evaluation.microbatches is ", spec.microbatches(),
                     ", want at least 1"));
  }
  if (spec.tokens().empty() && !plan.job.data().tokens().empty()) {
    return absl::InvalidArgumentError(
        "evaluation.tokens is missing: a job that reads its data from a token "
        "file evaluates on another one");
  }
  HeldOut held_out;
  held_out.pieces_per_step_ = plan.num_pieces();
  held_out.losses_.resize(
      static_cast<size_t>(spec.microbatches() * plan.pieces_per_microbatch));
  if (!reads) return held_out;
  DataRequest request;
  request.token_path = spec.tokens();
  request.batch_size = plan.job.batch_size();
  request.seed = RandomKey(plan.job.seed(), {kHeldOut});
  request.activation_type = activation_type;
  PENSTOCK_ASSIGN_OR_RETURN(held_out.data_,
                            DataSource::Open(plan.graph, request));
  return held_out;
}

absl::StatusOr<at::Tensor> HeldOut::Read(const std::string& input,
                                         int piece) const {
  return data_->Read(input, piece / pieces_per_step_, piece % pieces_per_step_);
}

void HeldOut::Begin() {
  std::fill(losses_.begin(), losses_.end(), std::nullopt);
}

double HeldOut::Mean() const {
  double sum = 0;
  for (const std::optional<double>& loss : losses_) sum += loss.value_or(0);
  return sum / static_cast<double>(losses_.size());
}

}  // namespace penstock
