#include "schedule/generators/registry.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

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
  EXPECT_THAT(OrdersOf("one_f_one_b", 3, 4, {{"warmup", "late"}}),
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
        BadRequest{"", {2, 2, 2}, "known: naive, gpipe, one_f_one_b"},
        BadRequest{"gpipe", {0, 2, 2}, "0 ranks, want at least 1"},
        BadRequest{"gpipe", {2, -1, 2}, "-1 stages, want at least 1"},
        BadRequest{"gpipe", {2, 2, 0}, "0 microbatches, want at least 1"},
        BadRequest{"gpipe", {4, 4, 2000000000}, "want fewer microbatches"},
        BadRequest{"naive", {2, 4, 2}, "got 4 stages and 2 ranks"},
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
    EXPECT_EQ(generator.update_policy, "flush") << generator.name;
    for (const ParameterInfo& parameter : generator.parameters) {
      EXPECT_THAT(parameter.values,
                  ::testing::Contains(parameter.default_value));
    }
  }
}

}  // namespace
}  // namespace penstock
