#include "schedule/generators/registry.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/request.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Each rank's list as text, the stage left out: "F0 F1 B0 B1".
std::vector<std::string> Orders(const Schedule& schedule) {
  std::vector<std::string> orders;
  for (const auto& actions : schedule.ranks) {
    orders.push_back(
        absl::StrJoin(actions, " ", [](std::string* out, const Action& action) {
          absl::StrAppend(out, ToString(action.op), action.microbatch.value());
        }));
  }
  return orders;
}

std::vector<std::string> OrdersOf(
    absl::string_view name, int ranks, int microbatches,
    const std::map<std::string, std::string>& parameters = {}) {
  const absl::StatusOr<Schedule> schedule =
      Generate(name, {ranks, ranks, microbatches, parameters});
  if (!schedule.ok()) return {schedule.status().ToString()};
  return Orders(*schedule);
}

TEST(GenerateTest, NaiveTakesOneMicrobatchAtATime) {
  EXPECT_THAT(OrdersOf("naive", 2, 3),
              ElementsAre("F0 B0 F1 B1 F2 B2", "F0 B0 F1 B1 F2 B2"));
}

TEST(GenerateTest, GpipeRunsAllForwardsFirst) {
  EXPECT_THAT(OrdersOf("gpipe", 2, 3),
              ElementsAre("F0 F1 F2 B0 B1 B2", "F0 F1 F2 B0 B1 B2"));
}

TEST(GenerateTest, GpipeLifoRunsBackwardsInReverse) {
  EXPECT_THAT(OrdersOf("gpipe", 1, 3, {{"order", "lifo"}}),
              ElementsAre("F0 F1 F2 B2 B1 B0"));
}

TEST(GenerateTest, OneFOneBWarmsUpByItsDistanceFromTheEnd) {
  EXPECT_THAT(OrdersOf("one_f_one_b", 3, 4),
              ElementsAre("F0 F1 F2 B0 F3 B1 B2 B3", "F0 F1 B0 F2 B1 F3 B2 B3",
                          "F0 B0 F1 B1 F2 B2 F3 B3"));
}

TEST(GenerateTest, LateWarmupIsTwiceAsLong) {
  EXPECT_THAT(OrdersOf("one_f_one_b", 3, 4, {{"warmup", "pb"}}),
              ElementsAre("F0 F1 F2 F3 B0 B1 B2 B3", "F0 F1 F2 B0 F3 B1 B2 B3",
                          "F0 B0 F1 B1 F2 B2 F3 B3"));
}

TEST(GenerateTest, FewerMicrobatchesThanRanksIsFine) {
  EXPECT_THAT(OrdersOf("one_f_one_b", 4, 1),
              ElementsAre("F0 B0", "F0 B0", "F0 B0", "F0 B0"));
  EXPECT_THAT(OrdersOf("gpipe", 1, 1), ElementsAre("F0 B0"));
}

TEST(GenerateTest, StageSIsOnRankS) {
  const absl::StatusOr<Schedule> schedule = Generate("gpipe", {3, 3, 2});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_THAT(schedule->placement,
              ElementsAre(ElementsAre(RankId(0)), ElementsAre(RankId(1)),
                          ElementsAre(RankId(2))));
  EXPECT_EQ(schedule->ranks[2][0], Forward(StageId(2), MicrobatchId(0)));
  EXPECT_EQ(schedule->name, "gpipe");
}

TEST(GenerateTest, WarmupMayBeListedByRank) {
  EXPECT_THAT(OrdersOf("one_f_one_b", 2, 3, {{"warmup", "3,1"}}),
              ElementsAre("F0 F1 F2 B0 B1 B2", "F0 B0 F1 B1 F2 B2"));
}

TEST(GenerateTest, GpipeRecomputesBeforeTheBackward) {
  EXPECT_THAT(OrdersOf("gpipe", 1, 2, {{"recompute", "always"}}),
              ElementsAre("F0 F1 R0 B0 R1 B1"));
  EXPECT_THAT(OrdersOf("gpipe", 1, 2,
                       {{"recompute", "except_last"}, {"order", "lifo"}}),
              ElementsAre("F0 F1 B1 R0 B0"));
}

TEST(CountRanksTest, IsTheInverseOfCountStages) {
  EXPECT_EQ(*CountRanks("gpipe", {0, 4, 1}), 4);
  EXPECT_EQ(*CountRanks("interleaved", {0, 8, 1}), 4);
  EXPECT_EQ(*CountRanks("interleaved", {0, 12, 1, {{"chunks", "3"}}}), 4);
  EXPECT_EQ(*CountRanks("zbv", {0, 2, 1}), 1);
  EXPECT_EQ(*CountRanks("one_f_one_b", {0, 2, 1, {{"warmup", "2,1"}}}), 2);
}

TEST(CountRanksTest, SaysWhichNumbersOfStagesThereAre) {
  EXPECT_THAT(std::string(CountRanks("zbv", {0, 5, 1}).status().message()),
              HasSubstr("schedule zbv has 2 stages on one rank and never 5"));
  EXPECT_THAT(std::string(CountRanks("zpv", {0, 4, 1}).status().message()),
              HasSubstr("did you mean \"zbv\"?"));
}

TEST(CountStagesTest, RequestOrChunksOrDefaultDecide) {
  EXPECT_EQ(*CountStages("gpipe", {4, 0, 1}), 4);
  EXPECT_EQ(*CountStages("interleaved", {4, 0, 1}), 8);
  EXPECT_EQ(*CountStages("interleaved", {4, 0, 1, {{"chunks", "3"}}}), 12);
  EXPECT_EQ(*CountStages("interleaved", {4, 16, 1}), 16);
  EXPECT_EQ(*CountStages("wpipe", {4, 0, 4}), 8);
  EXPECT_EQ(*CountStages("pipedream", {4, 0, 2}), 4);
  EXPECT_EQ(*CountStages("pipedream", {4, 0, 2, {{"replicas", "2,1,1"}}}), 3);
}

TEST(GenerateRankTest, IsTheRanksListOfTheWhole) {
  for (const GeneratorInfo& generator : Generators()) {
    const GeneratorRequest request{4, 0, 6};
    const absl::StatusOr<Schedule> schedule = Generate(generator.name, request);
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    for (int rank = 0; rank < 4; ++rank) {
      const auto list = GenerateRank(generator.name, request, RankId(rank));
      ASSERT_TRUE(list.ok()) << list.status();
      EXPECT_EQ(*list, schedule->ranks[rank]) << generator.name;
    }
  }
}

// The whole would hold 67 million actions.
TEST(GenerateRankTest, OneRankOfAnEnormousPipeline) {
  const GeneratorRequest request{4096, 4096, 8192};
  const auto list = GenerateRank("one_f_one_b", request, RankId(4000));
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->size(), 2 * 8192);
  EXPECT_EQ((*list)[96], Backward(StageId(4000), MicrobatchId(0)));
}

TEST(GenerateRankTest, RankThatDoesNotExistIsRefused) {
  EXPECT_THAT(GenerateRank("gpipe", {2, 2, 1}, RankId(2)).status().message(),
              HasSubstr("rank 2 of 2, want 0 to 1"));
}

struct BadRequest {
  const char* name;
  GeneratorRequest request;
  const char* message;
};

class BadRequestTest : public ::testing::TestWithParam<BadRequest> {};

TEST_P(BadRequestTest, SaysWhatWouldDo) {
  const absl::StatusOr<Schedule> schedule =
      Generate(GetParam().name, GetParam().request);
  ASSERT_FALSE(schedule.ok());
  EXPECT_EQ(schedule.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(schedule.status().message()),
              HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Requests, BadRequestTest,
    ::testing::Values(
        BadRequest{"gpip", {2, 2, 2}, "did you mean \"gpipe\"?"},
        BadRequest{"", {2, 2, 2}, "known: naive, gpipe, one_f_one_b, "},
        BadRequest{"gpipe", {0, 2, 2}, "0 ranks, want at least 1"},
        BadRequest{"gpipe", {2, -1, 2}, "-1 stages, want at least 1"},
        BadRequest{"gpipe", {2, 2, 0}, "0 microbatches, want at least 1"},
        BadRequest{
            "gpipe", {4, 4, 2000000000}, "want at most 8333333 microbatches"},
        BadRequest{"naive",
                   {2, 4, 2},
                   "schedule naive runs 1 stage on each rank, got 4 stages on "
                   "2 ranks; the nearest are 2 stages"},
        BadRequest{"gpipe_grouped", {2, 2, 2}, "the nearest are 4 stages"},
        BadRequest{"interleaved",
                   {4, 7, 2},
                   "runs 1 to 1024 stages on each rank, got 7 stages on 4 "
                   "ranks; the nearest are 4 or 8 stages"},
        BadRequest{"interleaved",
                   {4, 8, 2, {{"chunks", "3"}}},
                   "chunks of schedule interleaved is 3, but 8 stages on 4 "
                   "ranks are 2 on each; want chunks=2 or leave it out"},
        BadRequest{"interleaved",
                   {4, 0, 2, {{"chunks", "0"}}},
                   "want: an integer from 1 to 1024; the nearest is 1"},
        BadRequest{"interleaved",
                   {4, 0, 2, {{"group", "3"}}},
                   "wait for itself; the nearest is 4"},
        BadRequest{"interleaved",
                   {4, 0, 2, {{"group", "rank"}}},
                   "did you mean \"ranks\"?"},
        BadRequest{"one_f_one_b",
                   {3, 3, 2, {{"warmup", "3,2"}}},
                   "has 2 integers for 3 ranks, want one for each rank"},
        BadRequest{"one_f_one_b",
                   {3, 3, 2, {{"warmup", "3,0,1"}}},
                   "the nearest is 1"},
        BadRequest{"one_f_one_b",
                   {3, 3, 2, {{"warmup", "3,x,1"}}},
                   "\"x\" is not known"},
        BadRequest{"one_f_one_b",
                   {4, 4, 2, {{"warmup", "4,1,2,1"}}},
                   "the nearest is 4,2,2,1"},
        BadRequest{
            "gpipe", {2, 2, 2, {{"ordr", "fifo"}}}, "did you mean \"order\"?"},
        BadRequest{"gpipe",
                   {2, 2, 2, {{"order", "lifi"}}},
                   "\"lifi\" is not known; did you mean \"lifo\"?"},
        BadRequest{"naive", {2, 2, 2, {{"order", "fifo"}}}, "there are none"}));

TEST(GeneratorsTest, EachIsDescribedAndItsDefaultsAreAllowed) {
  for (const GeneratorInfo& generator : Generators()) {
    EXPECT_FALSE(generator.source.empty()) << generator.name;
    EXPECT_FALSE(generator.trade.empty()) << generator.name;
    EXPECT_THAT(generator.update_policy,
                AnyOf("flush", "stash", "vertical", "double_buffer", "grouped"))
        << generator.name;
    for (const ParameterInfo& parameter : generator.parameters) {
      EXPECT_TRUE(CompleteRequest(generator,
                                  {.num_ranks = 1,
                                   .num_microbatches = 1,
                                   .parameters = {{parameter.name,
                                                   parameter.default_value}}})
                      .ok())
          << generator.name << " " << parameter.name;
    }
  }
}

}  // namespace
}  // namespace penstock
