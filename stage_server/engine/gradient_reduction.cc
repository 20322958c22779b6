#include "stage_server/engine/gradient_reduction.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "models/layers/torch_status.h"
#include "schedule/ir/action.h"

namespace penstock {
namespace {

// Buckets whose values are under way at once: enough that the links are busy
// while one is summed.
constexpr size_t kWindow = 4;
// So that every share begins on a cache line of its own.
constexpr int64_t kShareAlignment = 16;

MessageHeader HeaderOf(int64_t number, int64_t num_elements) {
  return {number, kWholeStep.value(), DTYPE_FLOAT32, {num_elements}};
}

// Nearly equal shares, empty ones last.
std::vector<int64_t> SharesOf(int64_t size, int64_t num_holders) {
  const int64_t even = (size + num_holders - 1) / num_holders;
  const int64_t share =
      (even + kShareAlignment - 1) / kShareAlignment * kShareAlignment;
  std::vector<int64_t> begins;
  for (int64_t i = 0; i <= num_holders; ++i) {
    begins.push_back(std::min(size, i * share));
  }
  return begins;
}

absl::StatusOr<RequestId> Send(Transport& transport, ChannelId channel,
                               int64_t number, const at::Tensor& values) {
  return transport.PostSend(
      channel, HeaderOf(number, values.numel()),
      {static_cast<const std::byte*>(values.const_data_ptr()),
       static_cast<size_t>(values.nbytes())});
}

absl::StatusOr<RequestId> Receive(Transport& transport, ChannelId channel,
                                  int64_t number, const at::Tensor& values) {
  return transport.PostReceive(
      channel, HeaderOf(number, values.numel()),
      absl::MakeSpan(static_cast<std::byte*>(values.mutable_data_ptr()),
                     static_cast<size_t>(values.nbytes())));
}

// It is then forgotten.
absl::StatusOr<bool> IsComplete(std::optional<RequestId>& request,
                                Transport& transport) {
  if (!request.has_value()) return true;
  PENSTOCK_ASSIGN_OR_RETURN(const bool complete, transport.Test(*request));
  if (complete) request.reset();
  return complete;
}

}  // namespace

GradientReduction::GradientReduction(RankId rank,
                                     std::vector<std::vector<RankId>> holders,
                                     ChannelMap channels, int64_t bucket_bytes)
    : rank_(rank),
      holders_(std::move(holders)),
      channels_(std::move(channels)),
      bucket_elements_(bucket_bytes / static_cast<int64_t>(sizeof(float))) {}

absl::StatusOr<GradientReduction::Reduction> GradientReduction::Make(
    int64_t number, StageId stage, const std::vector<at::Tensor>& gradients) {
  const std::vector<RankId>& holders = holders_[stage.value()];
  Reduction reduction;
  reduction.number = number;
  reduction.stage = stage;
  for (size_t i = 0; i < holders.size(); ++i) {
    if (holders[i] == rank_) {
      reduction.own_place = static_cast<int>(i);
      continue;
    }
    Peer& peer = reduction.peers.emplace_back();
    peer.place = static_cast<int>(i);
    PENSTOCK_ASSIGN_OR_RETURN(peer.to,
                              channels_.OfReduction(stage, rank_, holders[i]));
    PENSTOCK_ASSIGN_OR_RETURN(peer.from,
                              channels_.OfReduction(stage, holders[i], rank_));
    peer.received.resize(kWindow);
    peer.receiving.resize(kWindow);
    peer.sending.resize(kWindow);
  }
  for (const at::Tensor& gradient : gradients) {
    const at::Tensor flat = gradient.view({-1});
    for (int64_t begin = 0; begin < flat.numel(); begin += bucket_elements_) {
      const int64_t size = std::min(bucket_elements_, flat.numel() - begin);
      reduction.buckets.push_back(
          {flat.narrow(0, begin, size),
           SharesOf(size, static_cast<int64_t>(holders.size()))});
    }
  }
  return reduction;
}

// Every holder posts in the same order: values of the first buckets, then, for
// each bucket, its sums and the values of one more.
absl::Status GradientReduction::PostValues(Reduction& reduction,
                                           Transport& transport) {
  const size_t index = reduction.num_posted++;
  const Bucket& bucket = reduction.buckets[index];
  const size_t slot = index % kWindow;
  const auto share = [&](int place) {
    return bucket.values.slice(0, bucket.shares[place],
                               bucket.shares[place + 1]);
  };
  const int64_t own_size = share(reduction.own_place).numel();
  for (Peer& peer : reduction.peers) {
    if (own_size > 0) {
      at::Tensor& received = peer.received[slot];
      if (!received.defined() || received.numel() != own_size) {
        received = at::empty({own_size}, bucket.values.options());
      }
      PENSTOCK_ASSIGN_OR_RETURN(
          peer.receiving[slot],
          Receive(transport, peer.from, reduction.number, received));
    }
    const at::Tensor theirs = share(peer.place);
    if (theirs.numel() == 0) continue;
    PENSTOCK_ASSIGN_OR_RETURN(
        peer.sending[slot], Send(transport, peer.to, reduction.number, theirs));
  }
  return absl::OkStatus();
}

// Of the next bucket: ((g0 + g1) + g2) + ..., into this rank's own values.
void GradientReduction::AddValues(Reduction& reduction) {
  const at::NoGradGuard no_grad;
  const size_t slot = reduction.num_summed % kWindow;
  const Bucket& bucket = reduction.buckets[reduction.num_summed];
  const int own = reduction.own_place;
  const at::Tensor sum =
      bucket.values.slice(0, bucket.shares[own], bucket.shares[own + 1]);
  if (sum.numel() == 0) return;
  // Peers stand in the order of the placement. Of two terms either may come
  // first.
  at::Tensor before;
  for (const Peer& peer : reduction.peers) {
    const at::Tensor& received = peer.received[slot];
    if (peer.place > own) {
      if (before.defined()) sum.add_(std::exchange(before, at::Tensor()));
      sum.add_(received);
    } else {
      before = before.defined() ? before.add_(received) : received;
    }
  }
  if (before.defined()) sum.add_(before);
}

absl::Status GradientReduction::PostSums(Reduction& reduction,
                                         Transport& transport) {
  const Bucket& bucket = reduction.buckets[reduction.num_summed];
  const auto share = [&](int place) {
    return bucket.values.slice(0, bucket.shares[place],
                               bucket.shares[place + 1]);
  };
  const at::Tensor own = share(reduction.own_place);
  for (const Peer& peer : reduction.peers) {
    if (own.numel() > 0) {
      PENSTOCK_ASSIGN_OR_RETURN(
          reduction.gathering.emplace_back(),
          Send(transport, peer.to, reduction.number, own));
    }
    const at::Tensor theirs = share(peer.place);
    if (theirs.numel() == 0) continue;
    PENSTOCK_ASSIGN_OR_RETURN(
        reduction.gathering.emplace_back(),
        Receive(transport, peer.from, reduction.number, theirs));
  }
  return absl::OkStatus();
}

// Of the next bucket. What was sent from there is about to be overwritten, so
// it must have gone. Asks for all peers, whichever is missing.
absl::StatusOr<bool> GradientReduction::HasValues(Reduction& reduction,
                                                  Transport& transport) {
  const size_t slot = reduction.num_summed % kWindow;
  bool all = true;
  for (Peer& peer : reduction.peers) {
    for (std::optional<RequestId>* request :
         {&peer.receiving[slot], &peer.sending[slot]}) {
      PENSTOCK_ASSIGN_OR_RETURN(const bool complete,
                                IsComplete(*request, transport));
      all = all && complete;
    }
  }
  return all;
}

absl::StatusOr<bool> GradientReduction::Advance(Reduction& reduction,
                                                Transport& transport) {
  while (reduction.num_summed < reduction.buckets.size()) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool ready,
                              HasValues(reduction, transport));
    if (!ready) return false;
    const int64_t start = MonotonicNanos();
    AddValues(reduction);
    busy_nanos_ += MonotonicNanos() - start;
    PENSTOCK_RETURN_IF_ERROR(PostSums(reduction, transport));
    ++reduction.num_summed;
    if (reduction.num_posted < reduction.buckets.size()) {
      PENSTOCK_RETURN_IF_ERROR(PostValues(reduction, transport));
    }
  }
  bool all = true;
  for (std::optional<RequestId>& request : reduction.gathering) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool complete,
                              IsComplete(request, transport));
    all = all && complete;
  }
  return all;
}

absl::Status GradientReduction::PostFirst(Reduction& reduction,
                                          Transport& transport) {
  while (reduction.num_posted < std::min(kWindow, reduction.buckets.size())) {
    PENSTOCK_RETURN_IF_ERROR(PostValues(reduction, transport));
  }
  return absl::OkStatus();
}

GradientReduction::Reduction* GradientReduction::FirstOf(StageId stage) {
  for (Reduction& reduction : active_) {
    if (reduction.stage == stage) return &reduction;
  }
  return nullptr;
}

GradientReduction::Reduction* GradientReduction::Find(int64_t number,
                                                      StageId stage) {
  for (Reduction& reduction : active_) {
    if (reduction.stage == stage && reduction.number == number) {
      return &reduction;
    }
  }
  return nullptr;
}

absl::Status GradientReduction::Start(int64_t number, StageId stage,
                                      const std::vector<at::Tensor>& gradients,
                                      Transport& transport) {
  return CatchTorch("reducing a gradient", [&]() -> absl::Status {
    PENSTOCK_ASSIGN_OR_RETURN(Reduction made, Make(number, stage, gradients));
    // Messages of two reductions in one channel would come in an order that
    // each end has for itself.
    const bool is_first = FirstOf(stage) == nullptr;
    Reduction& reduction = active_.emplace_back(std::move(made));
    return is_first ? PostFirst(reduction, transport) : absl::OkStatus();
  });
}

absl::Status GradientReduction::Poll(Transport& transport) {
  return CatchTorch("reducing a gradient", [&]() -> absl::Status {
    for (auto it = active_.begin(); it != active_.end();) {
      if (FirstOf(it->stage) != &*it) {
        ++it;
        continue;
      }
      PENSTOCK_RETURN_IF_ERROR(PostFirst(*it, transport));
      PENSTOCK_ASSIGN_OR_RETURN(const bool done, Advance(*it, transport));
      it = done ? active_.erase(it) : it + 1;
    }
    return absl::OkStatus();
  });
}

// The transport says what is missing.
absl::Status GradientReduction::WaitFor(const Reduction& reduction,
                                        Transport& transport,
                                        absl::Time deadline) {
  for (const Peer& peer : reduction.peers) {
    for (const std::optional<RequestId>& request : peer.receiving) {
      if (!request.has_value()) continue;
      PENSTOCK_RETURN_IF_ERROR(transport.Wait(*request, deadline));
    }
  }
  for (const std::optional<RequestId>& request : reduction.gathering) {
    if (!request.has_value()) continue;
    PENSTOCK_RETURN_IF_ERROR(transport.Wait(*request, deadline));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the gradients of stage ", reduction.stage.value(),
                   " were not summed at their deadline"));
}

absl::Status GradientReduction::Finish(Transport& transport,
                                       absl::Time deadline) {
  while (true) {
    PENSTOCK_RETURN_IF_ERROR(Poll(transport));
    if (active_.empty()) return absl::OkStatus();
    if (SystemClock().Now() >= deadline) break;
    PENSTOCK_RETURN_IF_ERROR(transport.AwaitProgress(deadline));
  }
  return WaitFor(active_.front(), transport, deadline);
}

absl::Status GradientReduction::FinishOne(int64_t number, StageId stage,
                                          Transport& transport,
                                          absl::Time deadline) {
  while (true) {
    PENSTOCK_RETURN_IF_ERROR(Poll(transport));
    if (Find(number, stage) == nullptr) return absl::OkStatus();
    if (SystemClock().Now() >= deadline) break;
    PENSTOCK_RETURN_IF_ERROR(transport.AwaitProgress(deadline));
  }
  return WaitFor(*FirstOf(stage), transport, deadline);
}

}  // namespace penstock
