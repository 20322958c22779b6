#include "stage_server/engine/channels.h"

#include <gtest/gtest.h>

#include "schedule/ir/schedule_proto.h"
#include "stage_server/engine/engine.h"
#include "stage_server/engine/test_plan.h"

namespace penstock {
namespace {

TEST(ChannelsOfTest, EachEdgeBothWaysThenAgreement) {
  const std::vector<ChannelSpec> channels =
      ChannelsOf(TwoRankPlan("tokens.bin"));
  std::vector<std::string> labels;
  for (size_t i = 0; i < channels.size(); ++i) {
    EXPECT_EQ(channels[i].id, ChannelId(static_cast<int>(i)));
    labels.push_back(channels[i].label);
  }
  EXPECT_EQ(labels,
            (std::vector<std::string>{
                "final_norm 0>1", "gradient of final_norm 1>0",
                "embed.token.weight 0>1", "gradient of embed.token.weight 1>0",
                "norm 1>0", "norm 0>1"}));
  EXPECT_EQ(channels[1].from, RankId(1));
  EXPECT_EQ(channels[1].to, RankId(0));
}

TEST(ChannelsOfTest, AreTheSameWithoutTheOthersLists) {
  const Plan whole = TwoRankPlan("tokens.bin");
  Plan sent = whole;
  sent.mutable_schedule()->mutable_ranks(1)->clear_actions();
  EXPECT_EQ(ChannelsOf(sent).size(), ChannelsOf(whole).size());
}

TEST(ChannelsOfTest, OneRankNeedsNone) {
  EXPECT_TRUE(ChannelsOf(OneRankPlan("tokens.bin")).empty());
}

TEST(ChannelMapTest, FindsTheWayBack) {
  const auto schedule = FromProto(TwoRankPlan("tokens.bin").schedule());
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  const ChannelMap map = ChannelMap::Of(*schedule);
  EXPECT_EQ(
      map.OfEdge(EdgeId(1), Direction::kBackward, RankId(1), RankId(0)).value(),
      ChannelId(3));
  EXPECT_EQ(map.OfAgreement(RankId(0), RankId(1)).value(), ChannelId(5));
  EXPECT_EQ(
      map.OfEdge(EdgeId(0), Direction::kForward, RankId(1), RankId(0)).status(),
      absl::NotFoundError("no channel for edge 0 from rank 1 to rank 0"));
  EXPECT_EQ(map.OfAgreement(RankId(1), RankId(2)).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ChannelMapTest, CopiesOfAStageHaveChannelsForTheirGradients) {
  Schedule schedule;
  schedule.ranks.resize(3);
  schedule.placement = {{RankId(0)}, {RankId(2), RankId(1)}};
  const ChannelMap map = ChannelMap::Of(schedule);
  const auto there = map.OfReduction(StageId(1), RankId(1), RankId(2));
  const auto back = map.OfReduction(StageId(1), RankId(2), RankId(1));
  ASSERT_TRUE(there.ok() && back.ok());
  EXPECT_NE(*there, *back);
  EXPECT_EQ(map.channels()[there->value()].label, "gradients of stage 1 1>2");
  EXPECT_EQ(map.OfReduction(StageId(0), RankId(0), RankId(1)).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace penstock
