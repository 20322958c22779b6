#include "stage_server/engine/activation_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

std::string PlaceText(Direction direction, EdgeId edge,
                      MicrobatchId microbatch) {
  return absl::StrCat(
      direction == Direction::kForward ? "the value" : "the gradient",
      " of edge ", edge.value(), ", microbatch ", microbatch.value());
}

}  // namespace

absl::Status ActivationStore::Put(Direction direction, EdgeId edge,
                                  MicrobatchId microbatch, at::Tensor tensor) {
  if (edge.value() < 0 || edge.value() >= num_edges_ ||
      microbatch.value() < -1 || microbatch.value() >= num_microbatches_) {
    return absl::InternalError(absl::StrCat(
        "there is no place for ", PlaceText(direction, edge, microbatch)));
  }
  const bool is_new =
      held_.try_emplace({direction, edge, microbatch}, std::move(tensor))
          .second;
  if (is_new) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(PlaceText(direction, edge, microbatch),
                   " came again before it was taken"));
}

absl::StatusOr<at::Tensor> ActivationStore::Take(Direction direction,
                                                 EdgeId edge,
                                                 MicrobatchId microbatch) {
  const auto found = held_.find({direction, edge, microbatch});
  if (found == held_.end()) {
    return absl::InternalError(
        absl::StrCat(PlaceText(direction, edge, microbatch), " is not there"));
  }
  at::Tensor tensor = std::move(found->second);
  held_.erase(found);
  return tensor;
}

}  // namespace penstock
