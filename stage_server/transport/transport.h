#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_TRANSPORT_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "proto/plan.pb.h"

namespace penstock {

using ChannelId = Id<struct ChannelIdTag>;

// One direction of one edge between two ranks. Both ends, and every rank of the
// epoch, use the same number for it.
struct ChannelSpec {
  ChannelId id;
  RankId from;
  RankId to;
  // What it carries, for messages: "h3 0>1", "norm 2>0".
  std::string label;
};

// What a message is; the receiver says what it expects and gets an error if
// something else came.
struct MessageHeader {
  int64_t step = 0;
  // -1: of the step as a whole.
  int32_t microbatch = 0;
  DType dtype = DTYPE_FLOAT32;
  absl::InlinedVector<int64_t, 6> shape;

  friend bool operator==(const MessageHeader&, const MessageHeader&) = default;
};

using RequestId = int64_t;

// Moves tensors between the ranks of one epoch.
//
// Messages on one channel arrive in the order they were sent; nothing is
// promised between channels. A send posts and never blocks; it completes once
// the receiver has posted the matching receive, or earlier where the
// implementation buffers; what it sent then arrives even if its transport is
// destroyed. Receives of a channel match its sends in order. Posted requests
// may advance only within calls of Test, Wait and AwaitProgress, whatever these
// wait for.
//
// Used by one thread, except `Cancel`, which any thread may call. One transport
// serves one epoch: after any error every later call fails with the same
// status, and the owner builds a new transport for the next epoch. Messages of
// another epoch are dropped and counted. Destroying a transport needs no peer
// and takes at most 100 ms; no buffer is touched afterwards.
class Transport {
 public:
  virtual ~Transport() = default;

  // Starts sending `bytes`, which must stay as they are until the request has
  // completed.
  //   INVALID_ARGUMENT  not a channel that this rank sends on.
  //   UNAVAILABLE       the peer is gone; names the rank.
  virtual absl::StatusOr<RequestId> PostSend(
      ChannelId channel, const MessageHeader& header,
      absl::Span<const std::byte> bytes) = 0;

  // Starts receiving the channel's next message into `buffer`, which must stay
  // until the request has completed. The message has exactly as many bytes:
  // those of `expected`'s tensor, or of its encoding (stage_server/engine/
  // wire_codec.h).
  virtual absl::StatusOr<RequestId> PostReceive(
      ChannelId channel, const MessageHeader& expected,
      absl::Span<std::byte> buffer) = 0;

  // Makes progress without blocking; true once the request has completed,
  // after which its id is forgotten.
  //   DATA_LOSS    the message that came is not the expected one; says both.
  //   UNAVAILABLE  the peer is gone; names the rank.
  //   INVALID_ARGUMENT  not a pending request.
  virtual absl::StatusOr<bool> Test(RequestId request) = 0;

  // `Test` until true: spins for at most 50 us, then blocks. With a deadline in
  // the past it tests once.
  //   DEADLINE_EXCEEDED  not complete at `deadline`; names channel, step and
  //                      microbatch.
  virtual absl::Status Wait(RequestId request, absl::Time deadline) = 0;

  // For who waits for several requests: makes progress and returns as soon as
  // any may have completed since this last returned, at the latest at `until`,
  // and perhaps before. Spins and blocks like `Wait`.
  virtual absl::Status AwaitProgress(absl::Time until) = 0;

  // Ends the transport: every waiter and every later call returns `why`
  // within 100 ms. Thread-safe; the first one counts.
  virtual void Cancel(absl::Status why) = 0;

  // Messages of another epoch that were dropped.
  virtual int64_t num_stale_messages() const = 0;
};

// How the others reach this rank's data plane, as it travels in DataAddress.
struct TransportAddress {
  // Ranks with equal ones share memory.
  std::string host_identity;
  std::map<std::string, std::string> addresses;
};

struct ConnectRequest {
  int64_t job_epoch = 0;
  RankId rank;
  std::string epoch_secret;
  // Index is the rank; this rank's own too.
  std::vector<TransportAddress> peers;
  // All channels of the epoch, in the order in which they are to be connected;
  // the transport uses those that begin or end at `rank`.
  std::vector<ChannelSpec> channels;
  absl::Time deadline;
  // Asked at least every 100 ms while connecting, on the connecting thread; an
  // error ends `Connect` with that error. Empty: never.
  std::function<absl::Status()> interrupted;
};

// One rank's half-made data plane: it has an address to give away and becomes
// a transport when all addresses are known. Made, connected and destroyed on
// the executor thread.
class TransportEndpoint {
 public:
  virtual ~TransportEndpoint() = default;

  virtual absl::StatusOr<TransportAddress> Address() = 0;

  // Connects every channel in both directions and checks the epoch's secret on
  // each. Call once.
  //   UNAVAILABLE, DEADLINE_EXCEEDED  a peer could not be reached; names it.
  //   PERMISSION_DENIED  a peer showed another secret.
  virtual absl::StatusOr<std::unique_ptr<Transport>> Connect(
      const ConnectRequest& request) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_TRANSPORT_H_
