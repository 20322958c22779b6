#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_CHANNEL_TABLE_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_CHANNEL_TABLE_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// The channels of one epoch as one rank sees them. Immutable, so thread-safe.
class ChannelTable {
 public:
  // Of no rank and no channel.
  ChannelTable() = default;

  // INVALID_ARGUMENT, naming the channel: an id used twice, an end that is no
  // rank of `request.peers`, or both ends the same.
  static absl::StatusOr<ChannelTable> Make(const ConnectRequest& request);

  RankId rank() const { return rank_; }
  // Those that begin or end at this rank, in the order of the request.
  const std::vector<ChannelSpec>& own_channels() const { return own_; }

  // The rank at the other end. Requires: `channel` is one of own_channels().
  RankId PeerOf(const ChannelSpec& channel) const {
    return channel.from == rank_ ? channel.to : channel.from;
  }

  // INVALID_ARGUMENT, naming rank and channel: this rank does not send on
  // `channel`, or does not receive on it. The pointer lives as long as the
  // table.
  absl::StatusOr<const ChannelSpec*> Outgoing(ChannelId channel) const;
  absl::StatusOr<const ChannelSpec*> Incoming(ChannelId channel) const;

 private:
  absl::StatusOr<const ChannelSpec*> Find(ChannelId channel,
                                          RankId ChannelSpec::*end,
                                          const char* verb) const;

  RankId rank_;
  std::vector<ChannelSpec> own_;
  // Index into own_.
  std::map<ChannelId, size_t> index_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_CHANNEL_TABLE_H_
