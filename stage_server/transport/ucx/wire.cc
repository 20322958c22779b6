#include "stage_server/transport/ucx/wire.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"

namespace penstock {
namespace {

constexpr uint64_t kKindMask = 0xF;

// Followed by the dimensions and, where the payload does not follow, its size.
struct FixedPart {
  int64_t step;
  int32_t microbatch;
  uint8_t dtype;
  uint8_t num_dimensions;
  uint16_t is_inline;
};
static_assert(sizeof(FixedPart) == 16);

}  // namespace

uint64_t WireTag(int64_t epoch, ChannelId channel, WireKind kind) {
  return static_cast<uint64_t>(epoch) << kEpochShift |
         static_cast<uint64_t>(channel.value()) << 4 |
         static_cast<uint64_t>(kind);
}

WireKind KindOfTag(uint64_t tag) {
  return static_cast<WireKind>(tag & kKindMask);
}

WireHeader::WireHeader(const MessageHeader& header, size_t payload_bytes) {
  const FixedPart fixed = {header.step, header.microbatch,
                           static_cast<uint8_t>(header.dtype),
                           static_cast<uint8_t>(header.shape.size()),
                           static_cast<uint16_t>(IsInline(payload_bytes))};
  Append(&fixed, sizeof fixed);
  Append(header.shape.data(), header.shape.size() * sizeof(int64_t));
  if (IsInline(payload_bytes)) return;
  const uint64_t size = payload_bytes;
  Append(&size, sizeof size);
}

void WireHeader::Append(const void* data, size_t size_bytes) {
  if (size_bytes == 0) return;
  std::memcpy(bytes_.data() + size_bytes_, data, size_bytes);
  size_bytes_ += size_bytes;
}

absl::StatusOr<MessageFacts> ParseMessage(absl::Span<const std::byte> message) {
  FixedPart fixed;
  if (message.size() < sizeof fixed) {
    return absl::DataLossError(absl::StrCat(
        "a message of ", message.size(), " bytes is too short for a header"));
  }
  std::memcpy(&fixed, message.data(), sizeof fixed);
  const size_t shape_bytes = fixed.num_dimensions * sizeof(int64_t);
  const size_t header_bytes =
      sizeof fixed + shape_bytes + (fixed.is_inline ? 0 : sizeof(uint64_t));
  if (fixed.num_dimensions > kMaxDimensions || message.size() < header_bytes) {
    return absl::DataLossError(absl::StrCat(
        "a message of ", message.size(), " bytes is too short for ",
        static_cast<int>(fixed.num_dimensions), " dimensions"));
  }
  MessageFacts facts;
  facts.header.step = fixed.step;
  facts.header.microbatch = fixed.microbatch;
  facts.header.dtype = static_cast<DType>(fixed.dtype);
  facts.header.shape.resize(fixed.num_dimensions);
  std::copy_n(message.data() + sizeof fixed, shape_bytes,
              reinterpret_cast<std::byte*>(facts.header.shape.data()));
  if (fixed.is_inline) {
    facts.size_bytes = message.size() - header_bytes;
  } else {
    uint64_t size;
    std::memcpy(&size, message.data() + sizeof fixed + shape_bytes,
                sizeof size);
    facts.size_bytes = size;
  }
  return facts;
}

std::array<char, 32> GreetingProof(absl::string_view epoch_secret,
                                   int64_t epoch, ChannelId channel,
                                   RankId sender) {
  const std::string digest = Sha256Of(absl::StrCat(
      epoch, " ", channel.value(), " ", sender.value(), " ", epoch_secret));
  std::array<char, 32> proof;
  std::copy_n(digest.begin(), proof.size(), proof.begin());
  return proof;
}

}  // namespace penstock
