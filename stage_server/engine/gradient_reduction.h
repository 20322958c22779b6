#ifndef PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_REDUCTION_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_REDUCTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "stage_server/engine/channels.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// How much of a gradient is summed at a time.
inline constexpr int64_t kReductionBucketBytes = 4 << 20;

// G: the gradients of a stage summed over the R ranks that hold it, as a
// reduce-scatter and an all-gather. A gradient is cut into buckets and each
// bucket into a share for each holder, which gets the others' values of it,
// adds all and sends the sum to the others. So a holder sends and receives
// 2 (R-1)/R of the gradient's bytes, as around a ring (Patarasuk and Yuan,
// Bandwidth Optimal All-reduce Algorithms, 2009), but in two hops.
//
// Every element is summed in the order of the holders in the placement,
// ((g0 + g1) + g2) + ..., wherever it lies: the bits depend neither on buckets
// nor on what else is in the gradient (docs/decisions/011).
//
// What stands between `Start` and `Finish` runs beside it, as far as `Poll` is
// called in between: the transport is polled. Buckets of one stage go in order,
// a few at a time; stages do not wait for each other. A reduction of a stage
// that has another one under way begins when that is done, on every holder.
//
// Used by one thread. After an error the transport may still have requests for
// its memory, so it must outlive the transport.
class GradientReduction {
 public:
  // `holders`: index is the stage. `bucket_bytes`, the same on all ranks, is a
  // multiple of 4.
  GradientReduction(RankId rank, std::vector<std::vector<RankId>> holders,
                    ChannelMap channels,
                    int64_t bucket_bytes = kReductionBucketBytes);

  // Posts the first buckets and returns. `gradients` are contiguous float32,
  // the same shapes on all holders; they are overwritten by the sums and are
  // not to be read or written before `Finish`. `number` is the same on all
  // holders: the step, or of a stage that does not wait for others the version
  // that its update makes.
  //   as the transport's PostSend and PostReceive.
  absl::Status Start(int64_t number, StageId stage,
                     const std::vector<at::Tensor>& gradients,
                     Transport& transport);

  // Whether something has been started that is not done.
  bool is_active() const { return !active_.empty(); }

  // Goes on without blocking.
  //   as the transport's Test, PostSend and PostReceive.
  absl::Status Poll(Transport& transport);

  // Waits until all that was started is done. All holders are listened to all
  // the time, so that every rank hears of one that dies, whomever it waits for.
  //   as the transport's Wait.
  absl::Status Finish(Transport& transport, absl::Time deadline);

  // The same for one that was started; the others go on meanwhile.
  absl::Status FinishOne(int64_t number, StageId stage, Transport& transport,
                         absl::Time deadline);

  // How long it has added since the last call; the rest is waiting.
  int64_t TakeBusyNanos() { return std::exchange(busy_nanos_, 0); }

 private:
  // Elements of one gradient; one share is [shares[i], shares[i + 1]).
  struct Bucket {
    at::Tensor values;
    std::vector<int64_t> shares;
  };
  // Another holder, as a stage's reduction sees it.
  struct Peer {
    // In the order of the placement.
    int place = 0;
    ChannelId to;
    ChannelId from;
    // Its values of this rank's share, by slot.
    std::vector<at::Tensor> received;
    // By slot: of the values that come, and of those that go.
    std::vector<std::optional<RequestId>> receiving;
    std::vector<std::optional<RequestId>> sending;
  };
  struct Reduction {
    int64_t number = 0;
    StageId stage;
    int own_place = 0;
    std::vector<Bucket> buckets;
    std::vector<Peer> peers;
    // Buckets whose values have been posted, and which are summed.
    size_t num_posted = 0;
    size_t num_summed = 0;
    // Of sums: sent or received.
    std::vector<std::optional<RequestId>> gathering;
  };

  absl::StatusOr<Reduction> Make(int64_t number, StageId stage,
                                 const std::vector<at::Tensor>& gradients);
  absl::Status PostFirst(Reduction& reduction, Transport& transport);
  // The earliest one of the stage.
  Reduction* FirstOf(StageId stage);
  Reduction* Find(int64_t number, StageId stage);
  absl::Status WaitFor(const Reduction& reduction, Transport& transport,
                       absl::Time deadline);
  absl::Status PostValues(Reduction& reduction, Transport& transport);
  absl::Status PostSums(Reduction& reduction, Transport& transport);
  void AddValues(Reduction& reduction);
  absl::StatusOr<bool> HasValues(Reduction& reduction, Transport& transport);
  // True once it is done.
  absl::StatusOr<bool> Advance(Reduction& reduction, Transport& transport);

  const RankId rank_;
  const std::vector<std::vector<RankId>> holders_;
  const ChannelMap channels_;
  const int64_t bucket_elements_;
  // In the order of their starts.
  std::deque<Reduction> active_;
  int64_t busy_nanos_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_GRADIENT_REDUCTION_H_
