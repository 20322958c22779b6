#ifndef PENSTOCK_STAGE_SERVER_ENGINE_ACTIVATION_STORE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_ACTIVATION_STORE_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <tuple>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "stage_server/engine/edge_direction.h"

namespace penstock {

// The tensors of one rank that are on an edge of the schedule: made by an
// action and not yet taken by the one that uses them. An edge between two
// stages of the rank goes through it too, so neither a stage nor the
// interpreter asks where the other end is. Used by one thread.
class ActivationStore {
 public:
  ActivationStore(int num_edges, int num_microbatches)
      : num_edges_(num_edges), num_microbatches_(num_microbatches) {}

  // `microbatch` may be kWholeStep.
  //   INTERNAL  the place is taken, or there is none.
  absl::Status Put(Direction direction, EdgeId edge, MicrobatchId microbatch,
                   at::Tensor tensor);

  // Hands the tensor over; the place is then free.
  //   INTERNAL  nothing is there.
  absl::StatusOr<at::Tensor> Take(Direction direction, EdgeId edge,
                                  MicrobatchId microbatch);

  int num_held() const { return static_cast<int>(held_.size()); }

 private:
  using Place = std::tuple<Direction, EdgeId, MicrobatchId>;

  int num_edges_;
  int num_microbatches_;
  std::map<Place, at::Tensor> held_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_ACTIVATION_STORE_H_
