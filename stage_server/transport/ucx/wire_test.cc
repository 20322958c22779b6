#include "stage_server/transport/ucx/wire.h"

#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace penstock {
namespace {

const MessageHeader kHeader = {1LL << 40, -1, DTYPE_INT64, {3, 0, 1LL << 35}};

std::vector<std::byte> MessageOf(const WireHeader& header,
                                 size_t inline_bytes) {
  std::vector<std::byte> message(header.bytes().begin(), header.bytes().end());
  message.resize(message.size() + inline_bytes);
  return message;
}

TEST(WireTest, ASmallMessageSaysWhatItIsAndHowLong) {
  const auto facts = ParseMessage(MessageOf(WireHeader(kHeader, 7), 7));
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(*facts, (MessageFacts{kHeader, 7}));
}

TEST(WireTest, ALargeMessagesHeaderSaysHowLongItsPayloadIs) {
  const size_t large = kMaxInlinePayload + 1;
  const auto facts = ParseMessage(MessageOf(WireHeader(kHeader, large), 0));
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(*facts, (MessageFacts{kHeader, large}));
}

TEST(WireTest, AsManyDimensionsAsAllowedFit) {
  MessageHeader header = kHeader;
  header.shape.assign(kMaxDimensions, 2);
  const WireHeader wire(header, 1 << 20);
  EXPECT_LE(wire.bytes().size(), kMaxWireHeader);
  EXPECT_EQ(ParseMessage(wire.bytes())->header, header);
}

TEST(WireTest, AnyCutOfAHeaderIsDataLoss) {
  const std::vector<std::byte> message =
      MessageOf(WireHeader(kHeader, 1 << 20), 0);
  for (size_t size = 0; size < message.size(); ++size) {
    EXPECT_EQ(
        ParseMessage(absl::MakeSpan(message.data(), size)).status().code(),
        absl::StatusCode::kDataLoss)
        << size;
  }
}

TEST(WireTest, MoreDimensionsThanAllowedAreDataLoss) {
  std::vector<std::byte> message = MessageOf(WireHeader(kHeader, 0), 4096);
  message[13] = std::byte{255};  // num_dimensions
  EXPECT_EQ(ParseMessage(message).status().code(), absl::StatusCode::kDataLoss);
}

TEST(WireTest, TagsDifferByEpochChannelAndKind) {
  const uint64_t tag = WireTag(7, ChannelId(3), WireKind::kMessage);
  EXPECT_NE(tag, WireTag(8, ChannelId(3), WireKind::kMessage));
  EXPECT_NE(tag, WireTag(7, ChannelId(4), WireKind::kMessage));
  EXPECT_NE(tag, WireTag(7, ChannelId(3), WireKind::kGreeting));
  EXPECT_EQ(KindOfTag(tag), WireKind::kMessage);
  EXPECT_EQ(WireTag(7, ChannelId(kMaxWireChannel), WireKind::kGreeting) >>
                kEpochShift,
            7u);
}

TEST(WireTest, AProofHoldsForOneSecretEpochChannelAndSender) {
  const auto proof = GreetingProof("secret", 7, ChannelId(1), RankId(0));
  EXPECT_EQ(proof, GreetingProof("secret", 7, ChannelId(1), RankId(0)));
  EXPECT_NE(proof, GreetingProof("Secret", 7, ChannelId(1), RankId(0)));
  EXPECT_NE(proof, GreetingProof("secret", 8, ChannelId(1), RankId(0)));
  EXPECT_NE(proof, GreetingProof("secret", 7, ChannelId(2), RankId(0)));
  EXPECT_NE(proof, GreetingProof("secret", 7, ChannelId(1), RankId(1)));
}

}  // namespace
}  // namespace penstock
