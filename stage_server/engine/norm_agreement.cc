#include "stage_server/engine/norm_agreement.h"

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "schedule/ir/action.h"

namespace penstock {
namespace {

using Words = std::vector<int64_t>;

constexpr size_t kAnswerWords = 2;
constexpr int64_t kNoLayer = -1;

MessageHeader HeaderOf(int64_t step, const Words& words) {
  return {step,
          kWholeStep.value(),
          DTYPE_INT64,
          {static_cast<int64_t>(words.size())}};
}

absl::StatusOr<RequestId> Send(Transport& transport, ChannelId channel,
                               int64_t step, const Words& words) {
  return transport.PostSend(
      channel, HeaderOf(step, words),
      absl::MakeConstSpan(reinterpret_cast<const std::byte*>(words.data()),
                          words.size() * sizeof(int64_t)));
}

absl::StatusOr<RequestId> Receive(Transport& transport, ChannelId channel,
                                  int64_t step, Words* words) {
  return transport.PostReceive(
      channel, HeaderOf(step, *words),
      absl::MakeSpan(reinterpret_cast<std::byte*>(words->data()),
                     words->size() * sizeof(int64_t)));
}

absl::Status TimedWait(Transport& transport, RequestId request,
                       absl::Time deadline, int64_t* waited_nanos) {
  const int64_t start = MonotonicNanos();
  absl::Status status = transport.Wait(request, deadline);
  *waited_nanos += MonotonicNanos() - start;
  return status;
}

}  // namespace

NormAgreement::NormAgreement(RankId rank,
                             std::vector<std::vector<int>> owned_layers,
                             ChannelMap channels)
    : rank_(rank),
      owned_layers_(std::move(owned_layers)),
      channels_(std::move(channels)),
      received_parts_(owned_layers_.size()) {
  for (size_t i = 0; i < owned_layers_.size(); ++i) {
    received_parts_[i].resize(owned_layers_[i].size());
  }
}

absl::StatusOr<GlobalNorm> NormAgreement::Agree(
    int64_t step, absl::Span<const LayerSquares> parts, Transport& transport,
    absl::Time deadline, int64_t* waited_nanos) {
  const std::vector<int>& layers = owned_layers_[rank_.value()];
  bool fits = parts.size() == layers.size();
  for (size_t i = 0; fits && i < parts.size(); ++i) {
    fits = parts[i].layer == layers[i];
  }
  if (!fits) {
    return absl::InternalError(
        absl::StrCat("rank ", rank_.value(), " has parts of the norm for ",
                     parts.size(), " layers, its plan has ", layers.size()));
  }
  return rank_ == RankId(0)
             ? Lead(step, parts, transport, deadline, waited_nanos)
             : Follow(step, parts, transport, deadline, waited_nanos);
}

absl::StatusOr<GlobalNorm> NormAgreement::Lead(
    int64_t step, absl::Span<const LayerSquares> parts, Transport& transport,
    absl::Time deadline, int64_t* waited_nanos) {
  const int num_ranks = static_cast<int>(owned_layers_.size());
  std::vector<RequestId> requests(owned_layers_.size());
  for (int rank = 1; rank < num_ranks; ++rank) {
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId channel,
                              channels_.OfAgreement(RankId(rank), RankId(0)));
    PENSTOCK_ASSIGN_OR_RETURN(requests[rank], Receive(transport, channel, step,
                                                      &received_parts_[rank]));
  }
  std::vector<LayerSquares> all(parts.begin(), parts.end());
  for (int rank = 1; rank < num_ranks; ++rank) {
    PENSTOCK_RETURN_IF_ERROR(
        TimedWait(transport, requests[rank], deadline, waited_nanos));
    for (size_t i = 0; i < received_parts_[rank].size(); ++i) {
      all.push_back({owned_layers_[rank][i],
                     std::bit_cast<double>(received_parts_[rank][i])});
    }
  }
  const GlobalNorm norm = CombineSquares(all);
  answer_ = {std::bit_cast<int64_t>(norm.norm),
             norm.broken_layer.value_or(kNoLayer)};
  for (int rank = 1; rank < num_ranks; ++rank) {
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId channel,
                              channels_.OfAgreement(RankId(0), RankId(rank)));
    PENSTOCK_ASSIGN_OR_RETURN(requests[rank],
                              Send(transport, channel, step, answer_));
  }
  for (int rank = 1; rank < num_ranks; ++rank) {
    PENSTOCK_RETURN_IF_ERROR(
        TimedWait(transport, requests[rank], deadline, waited_nanos));
  }
  return norm;
}

absl::StatusOr<GlobalNorm> NormAgreement::Follow(
    int64_t step, absl::Span<const LayerSquares> parts, Transport& transport,
    absl::Time deadline, int64_t* waited_nanos) {
  PENSTOCK_ASSIGN_OR_RETURN(const ChannelId from_leader,
                            channels_.OfAgreement(RankId(0), rank_));
  PENSTOCK_ASSIGN_OR_RETURN(const ChannelId to_leader,
                            channels_.OfAgreement(rank_, RankId(0)));
  answer_.assign(kAnswerWords, 0);
  PENSTOCK_ASSIGN_OR_RETURN(const RequestId coming,
                            Receive(transport, from_leader, step, &answer_));
  sent_parts_.clear();
  for (const LayerSquares& part : parts) {
    sent_parts_.push_back(std::bit_cast<int64_t>(part.squares));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const RequestId going,
                            Send(transport, to_leader, step, sent_parts_));
  PENSTOCK_RETURN_IF_ERROR(
      TimedWait(transport, coming, deadline, waited_nanos));
  PENSTOCK_RETURN_IF_ERROR(TimedWait(transport, going, deadline, waited_nanos));
  GlobalNorm norm;
  norm.norm = std::bit_cast<double>(answer_[0]);
  if (answer_[1] != kNoLayer) norm.broken_layer = static_cast<int>(answer_[1]);
  return norm;
}

}  // namespace penstock
