#include "stage_server/engine/gradient_reduction.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cstddef>
#include <utility>

#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "models/layers/torch_status.h"
#include "schedule/ir/action.h"

namespace penstock {
namespace {

MessageHeader HeaderOf(int64_t step, const at::Tensor& tensor) {
  return {step,
          kWholeStep.value(),
          DTYPE_FLOAT32,
          {tensor.sizes().begin(), tensor.sizes().end()}};
}

}  // namespace

GradientReduction::GradientReduction(RankId rank,
                                     std::vector<std::vector<RankId>> holders,
                                     ChannelMap channels)
    : rank_(rank),
      holders_(std::move(holders)),
      channels_(std::move(channels)) {}

absl::Status GradientReduction::Start(int64_t step, StageId stage,
                                      std::vector<at::Tensor> gradients,
                                      Transport& transport) {
  return CatchTorch("reducing a gradient", [&]() -> absl::Status {
    for (at::Tensor& gradient : gradients) {
      const auto bytes = static_cast<size_t>(gradient.nbytes());
      Pending& pending = pending_.emplace_back();
      pending.sum = gradient;
      for (const RankId holder : holders_[stage.value()]) {
        if (holder == rank_) {
          pending.parts.push_back(gradient);
          continue;
        }
        const at::Tensor& part = pending.parts.emplace_back(
            at::empty(gradient.sizes(), gradient.options()));
        PENSTOCK_ASSIGN_OR_RETURN(const ChannelId from,
                                  channels_.OfReduction(stage, holder, rank_));
        PENSTOCK_ASSIGN_OR_RETURN(
            pending.requests.emplace_back(),
            transport.PostReceive(
                from, HeaderOf(step, part),
                absl::MakeSpan(static_cast<std::byte*>(part.mutable_data_ptr()),
                               bytes)));
        PENSTOCK_ASSIGN_OR_RETURN(const ChannelId to,
                                  channels_.OfReduction(stage, rank_, holder));
        PENSTOCK_ASSIGN_OR_RETURN(
            pending.requests.emplace_back(),
            transport.PostSend(
                to, HeaderOf(step, gradient),
                {static_cast<const std::byte*>(gradient.const_data_ptr()),
                 bytes}));
      }
    }
    return absl::OkStatus();
  });
}

absl::Status GradientReduction::Finish(Transport& transport,
                                       absl::Time deadline,
                                       int64_t* waited_nanos) {
  for (const Pending& pending : pending_) {
    const int64_t start = MonotonicNanos();
    for (const RequestId request : pending.requests) {
      PENSTOCK_RETURN_IF_ERROR(transport.Wait(request, deadline));
    }
    *waited_nanos += MonotonicNanos() - start;
    PENSTOCK_RETURN_IF_ERROR(CatchTorch("reducing a gradient", [&] {
      const at::NoGradGuard no_grad;
      at::Tensor sum = pending.parts[0];
      for (size_t i = 1; i < pending.parts.size(); ++i) {
        sum = sum.add(pending.parts[i]);
      }
      pending.sum.copy_(sum);
    }));
  }
  pending_.clear();
  return absl::OkStatus();
}

}  // namespace penstock
