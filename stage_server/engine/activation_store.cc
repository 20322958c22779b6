#include "stage_server/engine/activation_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

std::string PlaceText(Direction direction, EdgeId edge,
                      MicrobatchId microbatch) {
  return absl::StrCat(
      direction == Direction::kForward ? "the value" : "the gradient",
      " of edge ", edge.value(), ", microbatch ", microbatch.value());
}

}  // namespace

ActivationStore::ActivationStore(int num_edges, int num_microbatches)
    : num_edges_(num_edges),
      num_microbatches_(num_microbatches),
      places_(static_cast<size_t>(2 * num_edges * (num_microbatches + 1))) {}

absl::StatusOr<at::Tensor*> ActivationStore::Place(Direction direction,
                                                   EdgeId edge,
                                                   MicrobatchId microbatch) {
  if (edge.value() < 0 || edge.value() >= num_edges_ ||
      microbatch.value() < -1 || microbatch.value() >= num_microbatches_) {
    return absl::InternalError(absl::StrCat(
        "there is no place for ", PlaceText(direction, edge, microbatch)));
  }
  const int side = direction == Direction::kForward ? 0 : 1;
  return &places_[static_cast<size_t>((side * num_edges_ + edge.value()) *
                                          (num_microbatches_ + 1) +
                                      microbatch.value() + 1)];
}

absl::Status ActivationStore::Put(Direction direction, EdgeId edge,
                                  MicrobatchId microbatch, at::Tensor tensor) {
  PENSTOCK_ASSIGN_OR_RETURN(at::Tensor* const place,
                            Place(direction, edge, microbatch));
  if (place->defined()) {
    return absl::InternalError(
        absl::StrCat(PlaceText(direction, edge, microbatch),
                     " came again before it was taken"));
  }
  *place = std::move(tensor);
  ++num_held_;
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> ActivationStore::Take(Direction direction,
                                                 EdgeId edge,
                                                 MicrobatchId microbatch) {
  PENSTOCK_ASSIGN_OR_RETURN(at::Tensor* const place,
                            Place(direction, edge, microbatch));
  if (!place->defined()) {
    return absl::InternalError(
        absl::StrCat(PlaceText(direction, edge, microbatch), " is not there"));
  }
  --num_held_;
  return std::exchange(*place, at::Tensor());
}

}  // namespace penstock
