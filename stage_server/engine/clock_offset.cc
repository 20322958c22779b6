#include "stage_server/engine/clock_offset.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "schedule/ir/action.h"

namespace penstock {
namespace {

constexpr int64_t kWords = 2;

MessageHeader HeaderAt(int64_t step) {
  return {step, kWholeStep.value(), DTYPE_INT64, {kWords}};
}

absl::StatusOr<RequestId> Send(Transport& transport, ChannelId channel,
                               int64_t step,
                               const std::array<int64_t, kWords>& words) {
  return transport.PostSend(
      channel, HeaderAt(step),
      absl::MakeConstSpan(reinterpret_cast<const std::byte*>(words.data()),
                          sizeof(words)));
}

absl::StatusOr<RequestId> Receive(Transport& transport, ChannelId channel,
                                  int64_t step,
                                  std::array<int64_t, kWords>* words) {
  return transport.PostReceive(
      channel, HeaderAt(step),
      absl::MakeSpan(reinterpret_cast<std::byte*>(words->data()),
                     sizeof(*words)));
}

}  // namespace

ClockOffset::ClockOffset(RankId rank, int num_ranks, ChannelMap channels)
    : rank_(rank),
      num_ranks_(num_ranks),
      channels_(std::move(channels)),
      questions_(rank == RankId(0) ? num_ranks : 0),
      answers_(questions_.size()) {}

absl::Status ClockOffset::Exchange(int64_t step, Transport& transport,
                                   absl::Time deadline) {
  ++num_exchanges_;
  if (num_ranks_ < 2) return absl::OkStatus();
  return rank_ == RankId(0) ? Answer(step, transport, deadline)
                            : Ask(step, transport, deadline);
}

absl::Status ClockOffset::Answer(int64_t step, Transport& transport,
                                 absl::Time deadline) {
  std::vector<RequestId> coming(questions_.size());
  std::vector<RequestId> going(questions_.size());
  for (int rank = 1; rank < num_ranks_; ++rank) {
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId channel,
                              channels_.OfAgreement(RankId(rank), RankId(0)));
    PENSTOCK_ASSIGN_OR_RETURN(
        coming[rank], Receive(transport, channel, step, &questions_[rank]));
  }
  const int others = num_ranks_ - 1;
  for (int i = 0; i < others; ++i) {
    const int rank =
        1 + static_cast<int>((num_exchanges_ + i) % int64_t{others});
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId channel,
                              channels_.OfAgreement(RankId(0), RankId(rank)));
    PENSTOCK_RETURN_IF_ERROR(transport.Wait(coming[rank], deadline));
    const int64_t received = MonotonicNanos();
    answers_[rank] = {received, MonotonicNanos()};
    PENSTOCK_ASSIGN_OR_RETURN(going[rank],
                              Send(transport, channel, step, answers_[rank]));
  }
  for (int rank = 1; rank < num_ranks_; ++rank) {
    PENSTOCK_RETURN_IF_ERROR(transport.Wait(going[rank], deadline));
  }
  return absl::OkStatus();
}

absl::Status ClockOffset::Ask(int64_t step, Transport& transport,
                              absl::Time deadline) {
  PENSTOCK_ASSIGN_OR_RETURN(const ChannelId from_leader,
                            channels_.OfAgreement(RankId(0), rank_));
  PENSTOCK_ASSIGN_OR_RETURN(const ChannelId to_leader,
                            channels_.OfAgreement(rank_, RankId(0)));
  PENSTOCK_ASSIGN_OR_RETURN(const RequestId coming,
                            Receive(transport, from_leader, step, &answer_));
  const int64_t sent = MonotonicNanos();
  PENSTOCK_ASSIGN_OR_RETURN(const RequestId going,
                            Send(transport, to_leader, step, question_));
  PENSTOCK_RETURN_IF_ERROR(transport.Wait(coming, deadline));
  const int64_t came_back = MonotonicNanos();
  PENSTOCK_RETURN_IF_ERROR(transport.Wait(going, deadline));
  samples_.push_back(SampleOf(sent, answer_[0], answer_[1], came_back));
  if (samples_.size() > kKept) samples_.pop_front();
  return absl::OkStatus();
}

ClockSample ClockOffset::best() const {
  if (samples_.empty()) return {};
  return *std::min_element(samples_.begin(), samples_.end(),
                           [](const ClockSample& a, const ClockSample& b) {
                             return a.round_trip_nanos < b.round_trip_nanos;
                           });
}

ClockSample ClockOffset::SampleOf(int64_t sent, int64_t received,
                                  int64_t answered, int64_t came_back) {
  return {((received - sent) + (answered - came_back)) / 2,
          (came_back - sent) - (answered - received)};
}

}  // namespace penstock
