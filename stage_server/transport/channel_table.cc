#include "stage_server/transport/channel_table.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "stage_server/transport/transport_errors.h"

namespace penstock {
namespace {

bool IsRankOf(RankId rank, size_t num_ranks) {
  return rank.value() >= 0 && static_cast<size_t>(rank.value()) < num_ranks;
}

absl::Status CheckEnds(const ChannelSpec& channel, size_t num_ranks) {
  if (!IsRankOf(channel.from, num_ranks) || !IsRankOf(channel.to, num_ranks)) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToString(channel), " is not between two of the ",
                     num_ranks, " ranks that have an address"));
  }
  if (channel.from == channel.to) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToString(channel), " begins and ends at the same rank"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ChannelTable> ChannelTable::Make(const ConnectRequest& request) {
  const size_t num_ranks = request.peers.size();
  if (!IsRankOf(request.rank, num_ranks)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot connect rank ", request.rank.value(), ": only ",
                     num_ranks, " ranks have an address"));
  }
  ChannelTable table;
  table.rank_ = request.rank;
  std::set<ChannelId> seen;
  for (const ChannelSpec& channel : request.channels) {
    if (absl::Status ends = CheckEnds(channel, num_ranks); !ends.ok()) {
      return ends;
    }
    if (!seen.insert(channel.id).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(ToString(channel), ": another channel has this number"));
    }
    if (channel.from != request.rank && channel.to != request.rank) continue;
    table.index_[channel.id] = table.own_.size();
    table.own_.push_back(channel);
  }
  return table;
}

absl::StatusOr<const ChannelSpec*> ChannelTable::Outgoing(
    ChannelId channel) const {
  return Find(channel, &ChannelSpec::from, "send");
}

absl::StatusOr<const ChannelSpec*> ChannelTable::Incoming(
    ChannelId channel) const {
  return Find(channel, &ChannelSpec::to, "receive");
}

absl::StatusOr<const ChannelSpec*> ChannelTable::Find(ChannelId channel,
                                                      RankId ChannelSpec::*end,
                                                      const char* verb) const {
  const auto it = index_.find(channel);
  if (it == index_.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rank ", rank_.value(), " cannot ", verb, " on channel ",
        channel.value(), ": the channel neither begins nor ends there"));
  }
  const ChannelSpec& spec = own_[it->second];
  if (spec.*end != rank_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rank ", rank_.value(), " cannot ", verb, " on ", ToString(spec)));
  }
  return &spec;
}

}  // namespace penstock
