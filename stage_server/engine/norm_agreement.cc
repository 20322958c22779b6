#include "stage_server/engine/norm_agreement.h"

#include <bit>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "schedule/ir/action.h"

namespace penstock {
namespace {

using Words = std::vector<int64_t>;

constexpr size_t kAnswerWords = 3;
constexpr int64_t kNoLayer = -1;
// Stands for a loss that is not there: a NaN that no arithmetic makes, since a
// loss may be one.
constexpr int64_t kNoLoss = 0x7ff8'6e6f'6c6f'7373;

int64_t WordOf(const std::optional<double>& loss) {
  return loss.has_value() ? std::bit_cast<int64_t>(*loss) : kNoLoss;
}

std::optional<double> LossOf(int64_t word) {
  if (word == kNoLoss) return std::nullopt;
  return std::bit_cast<double>(word);
}

using Losses = std::vector<std::optional<double>>;

void AddLosses(const Losses& more, Losses* all) {
  if (all->size() < more.size()) all->resize(more.size());
  for (size_t i = 0; i < more.size(); ++i) {
    if (more[i].has_value()) (*all)[i] = more[i];
  }
}

absl::StatusOr<std::optional<double>> MeanOf(const Losses& losses) {
  if (losses.empty()) return std::nullopt;
  double sum = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (!losses[i].has_value()) {
      return absl::InternalError(
          absl::StrCat("no rank has the loss of piece ", i));
    }
    sum += *losses[i];
  }
  return sum / static_cast<double>(losses.size());
}

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
                             std::vector<int> loss_places, ChannelMap channels)
    : rank_(rank),
      owned_layers_(std::move(owned_layers)),
      loss_places_(std::move(loss_places)),
      channels_(std::move(channels)),
      received_parts_(owned_layers_.size()) {
  for (size_t i = 0; i < owned_layers_.size(); ++i) {
    received_parts_[i].resize(owned_layers_[i].size() +
                              static_cast<size_t>(loss_places_[i]));
  }
}

Words NormAgreement::WordsOf(const AgreementParts& parts) {
  Words words;
  for (const LayerSquares& part : parts.squares) {
    words.push_back(std::bit_cast<int64_t>(part.squares));
  }
  for (const std::optional<double>& loss : parts.losses) {
    words.push_back(WordOf(loss));
  }
  return words;
}

AgreementParts NormAgreement::PartsOf(int rank, const Words& words) const {
  AgreementParts parts;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i < owned_layers_[rank].size()) {
      parts.squares.push_back(
          {owned_layers_[rank][i], std::bit_cast<double>(words[i])});
    } else {
      parts.losses.push_back(LossOf(words[i]));
    }
  }
  return parts;
}

absl::StatusOr<Agreement> NormAgreement::Agree(int64_t step,
                                               const AgreementParts& parts,
                                               Transport& transport,
                                               absl::Time deadline,
                                               int64_t* waited_nanos) {
  const std::vector<int>& layers = owned_layers_[rank_.value()];
  bool fits =
      parts.squares.size() == layers.size() &&
      static_cast<int>(parts.losses.size()) == loss_places_[rank_.value()];
  for (size_t i = 0; fits && i < layers.size(); ++i) {
    fits = parts.squares[i].layer == layers[i];
  }
  if (!fits) {
    return absl::InternalError(absl::StrCat(
        "rank ", rank_.value(), " has parts of the norm for ",
        parts.squares.size(), " layers, its plan has ", layers.size()));
  }
  return rank_ == RankId(0)
             ? Lead(step, parts, transport, deadline, waited_nanos)
             : Follow(step, parts, transport, deadline, waited_nanos);
}

absl::StatusOr<Agreement> NormAgreement::Lead(int64_t step,
                                              const AgreementParts& parts,
                                              Transport& transport,
                                              absl::Time deadline,
                                              int64_t* waited_nanos) {
  const int num_ranks = static_cast<int>(owned_layers_.size());
  std::vector<RequestId> requests(owned_layers_.size());
  for (int rank = 1; rank < num_ranks; ++rank) {
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId channel,
                              channels_.OfAgreement(RankId(rank), RankId(0)));
    PENSTOCK_ASSIGN_OR_RETURN(requests[rank], Receive(transport, channel, step,
                                                      &received_parts_[rank]));
  }
  AgreementParts all = parts;
  for (int rank = 1; rank < num_ranks; ++rank) {
    PENSTOCK_RETURN_IF_ERROR(
        TimedWait(transport, requests[rank], deadline, waited_nanos));
    const AgreementParts others = PartsOf(rank, received_parts_[rank]);
    all.squares.insert(all.squares.end(), others.squares.begin(),
                       others.squares.end());
    AddLosses(others.losses, &all.losses);
  }
  Agreement agreement;
  agreement.norm = CombineSquares(all.squares);
  PENSTOCK_ASSIGN_OR_RETURN(agreement.mean_loss, MeanOf(all.losses));
  answer_ = {std::bit_cast<int64_t>(agreement.norm.norm),
             agreement.norm.broken_layer.value_or(kNoLayer),
             WordOf(agreement.mean_loss)};
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
  return agreement;
}

absl::StatusOr<Agreement> NormAgreement::Follow(int64_t step,
                                                const AgreementParts& parts,
                                                Transport& transport,
                                                absl::Time deadline,
                                                int64_t* waited_nanos) {
  PENSTOCK_ASSIGN_OR_RETURN(const ChannelId from_leader,
                            channels_.OfAgreement(RankId(0), rank_));
  PENSTOCK_ASSIGN_OR_RETURN(const ChannelId to_leader,
                            channels_.OfAgreement(rank_, RankId(0)));
  answer_.assign(kAnswerWords, 0);
  PENSTOCK_ASSIGN_OR_RETURN(const RequestId coming,
                            Receive(transport, from_leader, step, &answer_));
  sent_parts_ = WordsOf(parts);
  PENSTOCK_ASSIGN_OR_RETURN(const RequestId going,
                            Send(transport, to_leader, step, sent_parts_));
  PENSTOCK_RETURN_IF_ERROR(
      TimedWait(transport, coming, deadline, waited_nanos));
  PENSTOCK_RETURN_IF_ERROR(TimedWait(transport, going, deadline, waited_nanos));
  Agreement agreement;
  agreement.norm.norm = std::bit_cast<double>(answer_[0]);
  if (answer_[1] != kNoLayer) {
    agreement.norm.broken_layer = static_cast<int>(answer_[1]);
  }
  agreement.mean_loss = LossOf(answer_[2]);
  return agreement;
}

}  // namespace penstock
