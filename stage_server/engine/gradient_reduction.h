#ifndef PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_REDUCTION_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_REDUCTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "stage_server/engine/channels.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// G: the gradients of a stage summed over the ranks that hold it. Each sends
// its own to each other and adds all in the order of the placement, so that all
// have the same bits. What stands between `Start` and `Finish` runs beside it.
//
// Used by one thread. After an error the transport may still have requests for
// its memory, so it must outlive the transport.
class GradientReduction {
 public:
  // `holders`: index is the stage.
  GradientReduction(RankId rank, std::vector<std::vector<RankId>> holders,
                    ChannelMap channels);

  // Posts everything and returns. `gradients` are contiguous float32, the same
  // shapes on all holders; they are overwritten by `Finish` and must not be
  // written to before.
  //   as the transport's PostSend and PostReceive.
  absl::Status Start(int64_t step, StageId stage,
                     std::vector<at::Tensor> gradients, Transport& transport);

  // Waits for all that was started. The time spent waiting for others is added
  // to `*waited_nanos`.
  //   as the transport's Wait.
  absl::Status Finish(Transport& transport, absl::Time deadline,
                      int64_t* waited_nanos);

 private:
  // One tensor.
  struct Pending {
    // Of this rank; `parts[own]` is it.
    at::Tensor sum;
    // By holder.
    std::vector<at::Tensor> parts;
    std::vector<RequestId> requests;
  };

  const RankId rank_;
  const std::vector<std::vector<RankId>> holders_;
  const ChannelMap channels_;
  std::vector<Pending> pending_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_REDUCTION_H_
