#include "stage_server/transport/channel_table.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

ConnectRequest RequestOfThree(std::vector<ChannelSpec> channels) {
  ConnectRequest request;
  request.rank = RankId(1);
  request.peers.resize(3);
  request.channels = std::move(channels);
  return request;
}

TEST(ChannelTableTest, KeepsOwnChannelsInTheOrderGiven) {
  const auto table = ChannelTable::Make(
      RequestOfThree({{ChannelId(4), RankId(1), RankId(2), "a"},
                      {ChannelId(3), RankId(0), RankId(2), "b"},
                      {ChannelId(2), RankId(0), RankId(1), "c"}}));
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ(table->own_channels().size(), 2u);
  EXPECT_EQ(table->own_channels()[0].id, ChannelId(4));
  EXPECT_EQ(table->PeerOf(table->own_channels()[0]), RankId(2));
  EXPECT_EQ(table->PeerOf(table->own_channels()[1]), RankId(0));
  EXPECT_EQ((*table->Outgoing(ChannelId(4)))->label, "a");
  EXPECT_EQ((*table->Incoming(ChannelId(2)))->label, "c");
}

TEST(ChannelTableTest, RefusesTheWrongDirection) {
  const auto table = ChannelTable::Make(
      RequestOfThree({{ChannelId(4), RankId(1), RankId(2), "a"}}));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(std::string(table->Incoming(ChannelId(4)).status().message()),
              HasSubstr("rank 1 cannot receive on channel 4 (a) from rank 1"));
  EXPECT_EQ(table->Outgoing(ChannelId(9)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ChannelTableTest, RefusesANumberUsedTwice) {
  EXPECT_THAT(std::string(ChannelTable::Make(
                              RequestOfThree(
                                  {{ChannelId(4), RankId(1), RankId(2), "a"},
                                   {ChannelId(4), RankId(0), RankId(2), "b"}}))
                              .status()
                              .message()),
              HasSubstr("channel 4 (b)"));
}

TEST(ChannelTableTest, RefusesAChannelToItselfAndToNoRank) {
  EXPECT_FALSE(ChannelTable::Make(
                   RequestOfThree({{ChannelId(0), RankId(1), RankId(1), "a"}}))
                   .ok());
  EXPECT_FALSE(ChannelTable::Make(
                   RequestOfThree({{ChannelId(0), RankId(1), RankId(3), "a"}}))
                   .ok());
  EXPECT_FALSE(ChannelTable::Make(
                   RequestOfThree({{ChannelId(0), RankId(-1), RankId(1), "a"}}))
                   .ok());
}

TEST(ChannelTableTest, RefusesARankWithoutAddress) {
  ConnectRequest request = RequestOfThree({});
  request.rank = RankId(3);
  EXPECT_EQ(ChannelTable::Make(request).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock
