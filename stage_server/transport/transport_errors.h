#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_TRANSPORT_ERRORS_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_TRANSPORT_ERRORS_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// The errors that every transport reports, worded once. Pure.

// "channel 3 (h3 0>1) from rank 0 to rank 1"
std::string ToString(const ChannelSpec& channel);
// "step 7 microbatch 2 float32[4,16]"; no microbatch when it is -1.
std::string ToString(const MessageHeader& header);

// What is compared when a message meets a receive. The sizes are of the
// payload in bytes.
struct MessageFacts {
  MessageHeader header;
  size_t size_bytes = 0;

  friend bool operator==(const MessageFacts&, const MessageFacts&) = default;
};

// OK when equal, else DATA_LOSS with both.
absl::Status CheckMessage(const ChannelSpec& channel,
                          const MessageFacts& expected,
                          const MessageFacts& got);

// DEADLINE_EXCEEDED; `verb` is "send" or "receive".
absl::Status DeadlinePassed(absl::string_view verb, const ChannelSpec& channel,
                            const MessageHeader& header);

// DEADLINE_EXCEEDED: `peer` has not answered on `channel` while connecting.
absl::Status ConnectDeadlinePassed(RankId peer, const ChannelSpec& channel);

// UNAVAILABLE; `evidence` says how we know. `GoneRank` finds the peer in it.
absl::Status PeerGone(RankId peer, absl::string_view evidence);

// The peer whose loss `status` is about, also after WithContext; nullopt for
// every other error.
std::optional<RankId> GoneRank(const absl::Status& status);

// PERMISSION_DENIED.
absl::Status WrongSecret(RankId peer, const ChannelSpec& channel);

// INVALID_ARGUMENT.
absl::Status UnknownRequest(RequestId request);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_TRANSPORT_ERRORS_H_
