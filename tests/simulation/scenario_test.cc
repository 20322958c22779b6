#include "tests/simulation/scenario.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::simulation {
namespace {

using ::testing::HasSubstr;

TEST(ScenarioTest, ATextSurvives) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Scenario scenario = RandomScenario(seed, 500);
    const auto again = ParseScenario(ToText(scenario));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, scenario) << ToText(scenario);
  }
}

TEST(ScenarioTest, EqualSeedsGiveEqualScenarios) {
  EXPECT_EQ(RandomScenario(7, 500), RandomScenario(7, 500));
  EXPECT_NE(RandomScenario(7, 500), RandomScenario(8, 500));
}

TEST(ScenarioTest, CommentsAndEmptyLinesArePassedOver) {
  const auto scenario = ParseScenario(
      "# why it is kept\n\nseed 3\nnetwork lossy\n"
      "job a stages=1\nat 2.5 kill s1 0.5\nat 1 submit a\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  EXPECT_TRUE(scenario->is_lossy);
  ASSERT_EQ(scenario->actions.size(), 2);
  EXPECT_EQ(scenario->actions[0].kind, ActionKind::kSubmit);
  EXPECT_EQ(ToText(scenario->actions[1]), "at 2.500 kill s1 0.5");
}

TEST(ScenarioTest, LinesThatSayNothingAreNamed) {
  for (const std::string line : {
           "at",
           "at x kill s1 1",
           "at -1 kill s1 1",
           "at 1 kill s1",
           "at 1 kill s1 soon",
           "at 1 kill s1 1 2",
           "at 1.000 kill s99 1",
           "at 1.000 submit nobody",
           "at 1 explode s1",
           "job",
           "job a stages=many",
           "job a colour=2",
           "job a stages=0",
           "seed",
           "seed one",
           "servers 0",
           "servers 100",
           "network wet",
           "weather fine",
       }) {
    const auto scenario = ParseScenario(line);
    ASSERT_FALSE(scenario.ok()) << line;
    EXPECT_THAT(std::string(scenario.status().message()), HasSubstr(line));
    EXPECT_THAT(std::string(scenario.status().message()), HasSubstr("wanted"));
  }
}

}  // namespace
}  // namespace penstock::simulation
