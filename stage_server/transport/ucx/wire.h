#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_WIRE_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_WIRE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "stage_server/transport/transport.h"
#include "stage_server/transport/transport_errors.h"

namespace penstock {

// What travels between two UCX workers. Pure. Both ends are of one machine type
// and one build, so numbers travel as they lie in memory.
//
// A message is its header and its payload. A small payload follows its header
// in one UCX message, so that a small message costs one; a large one is a UCX
// message of its own, received straight into the tensor.

enum class WireKind : uint64_t {
  kGreeting = 0,
  // A header, with its payload if that is small.
  kMessage = 1,
  kLargePayload = 2,
};

// UCX matches a message with a receive by 64 bits: the epoch's lowest 32, the
// channel in 28, the kind in 4.
inline constexpr int kEpochShift = 32;
inline constexpr int kMaxWireChannel = (1 << 28) - 1;
uint64_t WireTag(int64_t epoch, ChannelId channel, WireKind kind);
WireKind KindOfTag(uint64_t tag);

// Largest payload that travels behind its header.
inline constexpr size_t kMaxInlinePayload = 2048;
inline constexpr size_t kMaxDimensions = 16;
inline constexpr size_t kMaxWireHeader = 24 + 8 * kMaxDimensions;

// A header as bytes; equal exactly when header and payload size are equal.
class WireHeader {
 public:
  WireHeader() = default;
  // Requires: at most kMaxDimensions dimensions.
  WireHeader(const MessageHeader& header, size_t payload_bytes);

  absl::Span<const std::byte> bytes() const {
    return {bytes_.data(), size_bytes_};
  }

 private:
  void Append(const void* data, size_t size_bytes);

  std::array<std::byte, kMaxWireHeader> bytes_;
  size_t size_bytes_ = 0;
};

inline bool IsInline(size_t payload_bytes) {
  return payload_bytes <= kMaxInlinePayload;
}

// The facts of a kMessage. DATA_LOSS when it is none.
absl::StatusOr<MessageFacts> ParseMessage(absl::Span<const std::byte> message);

// The first message in each direction of each channel.
struct Greeting {
  // Shows that the sender knows the epoch's secret without giving it away.
  std::array<char, 32> proof;
  // For noticing the sender's death on the same host.
  int64_t process_id = 0;
  uint64_t process_namespace = 0;
};

std::array<char, 32> GreetingProof(absl::string_view epoch_secret,
                                   int64_t epoch, ChannelId channel,
                                   RankId sender);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_WIRE_H_
