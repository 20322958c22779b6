#include "stage_server/engine/rank_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_replace.h"
#include "stage_server/engine/test_plan.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = InputSource::Kind;

std::string Refusal(const Plan& plan, RankId rank) {
  const absl::StatusOr<RankPlan> resolved = ResolveRank(plan, rank);
  return resolved.ok() ? "accepted" : resolved.status().ToString();
}

TEST(ResolveRankTest, NamesBecomeIndices) {
  const auto first = ResolveRank(TwoRankPlan("tokens.bin"), RankId(0));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->stages.size(), 1u);
  const RankStage& body = first->stages[0];
  EXPECT_THAT(body.layers[0].inputs, ElementsAre(InputSource{Kind::kData, 0}));
  EXPECT_THAT(body.data_inputs, ElementsAre("tokens"));
  EXPECT_THAT(body.layers[3].inputs, ElementsAre(InputSource{Kind::kLayer, 2}));
  ASSERT_EQ(body.out_edges.size(), 1u);
  EXPECT_EQ(body.out_edges[0].layer_position, 3);
  EXPECT_TRUE(body.in_edges.empty());
  EXPECT_EQ(body.loss_position, std::nullopt);

  const auto second = ResolveRank(TwoRankPlan("tokens.bin"), RankId(1));
  ASSERT_TRUE(second.ok()) << second.status();
  const RankStage& head = second->stages[0];
  EXPECT_EQ(head.id, StageId(1));
  EXPECT_THAT(head.layers[0].inputs, ElementsAre(InputSource{Kind::kEdge, 0}));
  EXPECT_THAT(head.layers[1].inputs, ElementsAre(InputSource{Kind::kLayer, 0},
                                                 InputSource{Kind::kData, 0}));
  EXPECT_THAT(head.data_inputs, ElementsAre("labels"));
  EXPECT_EQ(head.loss_position, 1);
}

TEST(ResolveRankTest, TiedWeightIsOwnedOnce) {
  const auto plan = ResolveRank(TwoRankPlan("tokens.bin"), RankId(1));
  ASSERT_TRUE(plan.ok()) << plan.status();
  // The head's only parameter is the embedding's.
  EXPECT_THAT(plan->owned_layers,
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre()));
  ASSERT_EQ(plan->tied_sites.size(), 1u);
  EXPECT_EQ(plan->tied_sites[0].edge, EdgeId(1));
  EXPECT_EQ(plan->tied_sites[0].owner_stage, StageId(0));
}

TEST(ResolveRankTest, TiedWeightWithinARankUsesNoEdge) {
  const auto plan = ResolveRank(OneRankPlan("tokens.bin"), RankId(0));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->stages.size(), 2u);
  ASSERT_EQ(plan->tied_sites.size(), 1u);
  EXPECT_EQ(plan->tied_sites[0].edge, std::nullopt);
}

// Both stages on both ranks: microbatch 0 goes one way, 1 the other.
constexpr char kTwoCopies[] = R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0+r1 r1+r0
edge activation final_norm 0>1
edge tied_weight embed.token.weight 0>1
r0: 0F0 0SF0[final_norm>r1] 1RF1[final_norm<r1] 1F1 1B1 1SB1[final_norm>r1] 1G 0RB0[final_norm<r1] 0B0 0G N 0U 1U
r1: 0F1 0SF1[final_norm>r0] 1RF0[final_norm<r0] 1F0 1B0 1SB0[final_norm>r0] 1G 0RB1[final_norm<r0] 0B1 0G N 0U 1U
)";

TEST(ResolveRankTest, OfAStageOnSeveralRanksTheFirstSpeaks) {
  const Plan plan = WithSchedule(TwoRankPlan("tokens.bin"), kTwoCopies);
  for (const int rank : {0, 1}) {
    const auto resolved = ResolveRank(plan, RankId(rank));
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    ASSERT_EQ(resolved->stages.size(), 2u);
    for (const RankStage& stage : resolved->stages) {
      EXPECT_TRUE(stage.is_shared);
      EXPECT_THAT(stage.own_pieces, ElementsAre(1));
      EXPECT_EQ(stage.num_gradients, 1);
    }
    EXPECT_TRUE(resolved->tied_sites[0].is_local);
    EXPECT_THAT(resolved->owned_layers,
                ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre()));
    EXPECT_THAT(resolved->loss_places, ElementsAre(2, 2));
  }
}

TEST(ResolveRankTest, OtherRanksListsAreNotNeeded) {
  Plan plan = TwoRankPlan("tokens.bin");
  plan.mutable_schedule()->mutable_ranks(0)->clear_actions();
  EXPECT_TRUE(ResolveRank(plan, RankId(1)).ok());
}

TEST(ResolveRankTest, NamesLayersThatDoNotFitTheModel) {
  Plan plan = TwoRankPlan("tokens.bin");
  plan.mutable_stages(0)->set_layers(1, "h7.attn");
  EXPECT_THAT(Refusal(plan, RankId(0)),
              HasSubstr("stage 0, layer \"h7.attn\": model gpt-nano has no "
                        "such layer"));
  plan.mutable_stages(0)->set_layers(1, "embed");
  EXPECT_THAT(Refusal(plan, RankId(0)), HasSubstr("in stage 0 already"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_stages(0)->mutable_layers()->SwapElements(1, 2);
  EXPECT_THAT(Refusal(plan, RankId(0)),
              HasSubstr("comes before \"h0.mlp\" in the model"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_stages(1)->mutable_layers()->RemoveLast();
  EXPECT_THAT(Refusal(plan, RankId(0)),
              HasSubstr("layer \"loss\" is in no stage"));
}

TEST(ResolveRankTest, AnEdgeHasTheShapeOfTheStepsLength) {
  Plan plan = TwoRankPlan("tokens.bin");
  for (const int length : {3, 8, 5}) {
    plan.mutable_job()->mutable_data()->add_sequence_lengths(length);
  }
  const auto first = ResolveRank(plan, RankId(0));
  const auto second = ResolveRank(plan, RankId(1));
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  std::set<int64_t> seen;
  for (int64_t step = 0; step < 30; ++step) {
    const int64_t length = first->step_lengths.LengthOf(step);
    seen.insert(length);
    for (const RankPlan& rank : {*first, *second}) {
      EXPECT_THAT(rank.EdgeTensor(EdgeId(0), step).shape(),
                  ElementsAre(1, length, 16));
      EXPECT_THAT(rank.EdgeTensor(EdgeId(1), step).shape(),
                  ElementsAre(16, 16));
    }
  }
  EXPECT_THAT(seen, ElementsAre(3, 5, 8));
}

TEST(ResolveRankTest, LengthsOfStepsThatAreNoneAreRefused) {
  Plan plan = TwoRankPlan("tokens.bin");
  for (const int length : {0, 8}) {
    plan.mutable_job()->mutable_data()->add_sequence_lengths(length);
  }
  EXPECT_THAT(Refusal(plan, RankId(0)), HasSubstr("want sizes in 1.."));
}

TEST(ResolveRankTest, NamesTensorsThatDoNotFitTheModel) {
  Plan plan = TwoRankPlan("tokens.bin");
  plan.mutable_edge_tensors(0)->set_shape(1, 9);
  EXPECT_THAT(Refusal(plan, RankId(1)),
              HasSubstr("edge 0 (final_norm): is DTYPE_FLOAT32 [1, 9, 16], the "
                        "layer makes DTYPE_FLOAT32 [1, 8, 16]"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_job()->set_dtype("bfloat16");
  EXPECT_THAT(Refusal(plan, RankId(1)), HasSubstr("makes DTYPE_BFLOAT16"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_schedule()->mutable_edges(0)->set_tensor("h0.mlp");
  EXPECT_THAT(Refusal(plan, RankId(1)),
              HasSubstr("layer \"head\": its input \"final_norm\" is neither"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_schedule()->mutable_edges(1)->set_tensor("embed.other");
  EXPECT_THAT(Refusal(plan, RankId(1)),
              HasSubstr("no edge for \"embed.token.weight\""));
}

TEST(ResolveRankTest, CountsMustAgree) {
  EXPECT_THAT(Refusal(TwoRankPlan("tokens.bin"), RankId(2)),
              HasSubstr("rank 2 of 2 ranks"));
  Plan plan = TwoRankPlan("tokens.bin");
  plan.mutable_job()->set_batch_size(3);
  EXPECT_THAT(Refusal(plan, RankId(0)),
              HasSubstr("a batch of 3 in 2 microbatches"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_edge_tensors()->RemoveLast();
  EXPECT_THAT(Refusal(plan, RankId(0)), HasSubstr("1 edge tensors"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_schedule()->mutable_placement(1)->add_ranks(7);
  EXPECT_THAT(Refusal(plan, RankId(0)),
              HasSubstr("stage 1 is on 2 ranks, want at least one, of the 2"));
  plan = TwoRankPlan("tokens.bin");
  plan.mutable_job()->set_dtype("float64");
  EXPECT_THAT(Refusal(plan, RankId(0)), HasSubstr("dtype is \"float64\""));
}

// One change of rank 0's or rank 1's list, and what the check says.
struct BadList {
  int rank;
  const char* from;
  const char* to;
  const char* message;
};

class BadListTest : public ::testing::TestWithParam<BadList> {};

TEST_P(BadListTest, IsRefusedWithItsPosition) {
  const BadList& bad = GetParam();
  const std::string text = TwoRankScheduleText();
  const std::string changed = absl::StrReplaceAll(text, {{bad.from, bad.to}});
  ASSERT_NE(text, changed);
  EXPECT_THAT(Refusal(WithSchedule(TwoRankPlan("tokens.bin"), changed),
                      RankId(bad.rank)),
              HasSubstr(bad.message));
}

INSTANTIATE_TEST_SUITE_P(
    EachRule, BadListTest,
    ::testing::Values(
        BadList{1, "1RF1[final_norm<r0] 1F1", "1F1", "comm_pairing: r1"},
        BadList{1, "1RF0[final_norm<r0] 1F0",
                "1RF0[final_norm<r0] 1F0 1RF0[final_norm<r0]",
                "comm_pairing: r1"},
        BadList{0, "0F1 ", "0F0 ", "complete: r0 action 2"},
        BadList{0, "0F1 ", "0F2 ", "placement: r0 action 2"},
        BadList{0, "0RB1[final_norm<r1] 0B1", "0RB1[final_norm<r1] 0B0",
                "complete: r0 action 7"},
        BadList{0, "0F0 ", "0B0 0F0 ", "order: r0 action 0"},
        BadList{0, "0SF0[final_norm>r1]", "0SF0[final_norm>r0]",
                "placement: r0 action 1"},
        BadList{0, "0RB*[embed.token.weight<r1] N", "N", "comm_pairing: r0"},
        BadList{1, "1SB1[final_norm>r0] 1SB*[embed.token.weight>r0]",
                "1SB*[embed.token.weight>r0] 1SB1[final_norm>r0] N",
                "complete: r1"},
        BadList{0, "N 0U 0SF*", "0U N 0SF*", "order: r0"},
        BadList{0, "0U 0SF*[embed.token.weight>r1]",
                "0SF*[embed.token.weight>r1] 0U", "order: r0"},
        BadList{0, "0U", "0U 0U", "complete: r0"},
        BadList{1, " 1U", "", "complete: r1"},
        BadList{1, "1U", "0U", "placement: r1"},
        BadList{0, " N ", " ", "complete: r0"},
        BadList{0, "0B1", "0I1", "complete: r0"},
        BadList{0, "0B1", "0W1 0I1", "order: r0 action 7"},
        BadList{0, "0B0", "0B0 0R0", "order: r0"}));

TEST(CheckListTest, TakesASplitBackwardAndRecompute) {
  const std::string text = absl::StrReplaceAll(
      TwoRankScheduleText(), {{"0B0 ", "0R0 0I0 "}, {"0B1 ", "0I1 0W0 0W1 "}});
  const auto plan =
      ResolveRank(WithSchedule(TwoRankPlan("tokens.bin"), text), RankId(0));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->stages[0].recomputed, ElementsAre(true, false));
}

TEST(CheckListTest, HalvesNeedAPlanThatCutsMicrobatches) {
  const std::string halves = absl::StrReplaceAll(
      TwoRankScheduleText(),
      {{"0RB0[final_norm<r1] 0B0",
        "0RB0.0[final_norm<r1] 0B0.0 0RB0.1[final_norm<r1] 0B0.1"}});
  Plan plan = WithSchedule(TwoRankPlan("tokens.bin"), halves);
  EXPECT_THAT(Refusal(plan, RankId(0)),
              HasSubstr("plan: rank 0, action 4 (0RB0.0[final_norm<r1]): it is "
                        "of half a microbatch; want pieces_per_microbatch 2"));
  plan.set_pieces_per_microbatch(2);
  EXPECT_THAT(Refusal(plan, RankId(0)),
              HasSubstr("a batch of 2 in 2 microbatches of 2 pieces"));
  plan.mutable_job()->set_batch_size(4);
  plan.mutable_edge_tensors(0)->set_shape(0, 2);
  const auto resolved = ResolveRank(plan, RankId(0));
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->graph.microbatch_size, 1);
  EXPECT_EQ(resolved->num_pieces(), 4);
}

}  // namespace
}  // namespace penstock
