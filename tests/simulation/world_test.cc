#include "tests/simulation/world.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/shrink.h"

namespace penstock::simulation {
namespace {

using ::testing::Contains;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Pair;

Scenario Quiet() {
  return ParseScenario(
             "seed 1\nevents 1000\nservers 3\nnetwork streams\n"
             "job a stages=2 steps=40 every=4 keep=2 memory=1\n"
             "at 0.5 submit a\n")
      .value();
}

TEST(WorldTest, AJobOfAQuietClusterSucceedsWithoutARestart) {
  const RunResult result = RunScenario(Quiet());
  EXPECT_FALSE(result.violation) << result.violation->what;
  EXPECT_THAT(result.seen, Contains(Pair("ended SUCCEEDED", 1)));
  EXPECT_EQ(result.seen.count("job RUNNING > RECOVERING"), 0);
}

TEST(WorldTest, AKilledServerIsOneRestart) {
  Scenario scenario = Quiet();
  scenario.actions.push_back({ActionKind::kKill, absl::Seconds(3), "s1", 2.0});
  const RunResult result = RunScenario(scenario);
  EXPECT_FALSE(result.violation) << result.violation->what;
  EXPECT_THAT(result.seen, Contains(Pair("ended SUCCEEDED", 1)));
  EXPECT_THAT(result.seen, Contains(Pair("job RUNNING > RECOVERING", 1)));
}

TEST(WorldTest, AFrozenServerIsReplacedAndChangesNothingWhenItWakes) {
  Scenario scenario = Quiet();
  scenario.events = 2000;
  scenario.actions.push_back(
      {ActionKind::kFreeze, absl::Seconds(3), "s1", 40.0});
  const RunResult result = RunScenario(scenario);
  EXPECT_FALSE(result.violation) << result.violation->what;
  EXPECT_THAT(result.seen, Contains(Pair("ended SUCCEEDED", 1)));
  EXPECT_THAT(result.seen, Contains(Pair("job RUNNING > RECOVERING", 1)));
}

TEST(WorldTest, AShortPartitionCostsNoRestart) {
  Scenario scenario = Quiet();
  scenario.actions.push_back(
      {ActionKind::kPartition, absl::Seconds(3), "s1", 1.5});
  const RunResult result = RunScenario(scenario);
  EXPECT_FALSE(result.violation) << result.violation->what;
  EXPECT_THAT(result.seen, Contains(Pair("ended SUCCEEDED", 1)));
  EXPECT_EQ(result.seen.count("job RUNNING > RECOVERING"), 0);
}

TEST(WorldTest, ALongPartitionIsOneRestart) {
  Scenario scenario = Quiet();
  scenario.events = 2000;
  scenario.actions.push_back(
      {ActionKind::kPartition, absl::Seconds(3), "s1", 40.0});
  const RunResult result = RunScenario(scenario);
  EXPECT_FALSE(result.violation) << result.violation->what;
  EXPECT_THAT(result.seen, Contains(Pair("ended SUCCEEDED", 1)));
  EXPECT_THAT(result.seen, Contains(Pair("job RUNNING > RECOVERING", 1)));
}

TEST(WorldTest, AClockThatIsAnHourOffChangesNothing) {
  for (const double seconds : {-3600.0, 3600.0}) {
    Scenario scenario = Quiet();
    scenario.actions.push_back(
        {ActionKind::kClock, absl::Seconds(1), "", seconds});
    scenario.actions.push_back({ActionKind::kCrash, absl::Seconds(3), "", 1});
    const RunResult result = RunScenario(scenario);
    EXPECT_FALSE(result.violation) << result.violation->what;
    EXPECT_THAT(result.seen, Contains(Pair("ended SUCCEEDED", 1)));
    EXPECT_EQ(result.seen.count("job RUNNING > RECOVERING"), 0);
  }
}

TEST(WorldTest, EqualScenariosGiveEqualRuns) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<std::string> first;
    std::vector<std::string> second;
    const Scenario scenario = RandomScenario(seed, 300);
    RunScenario(scenario, {false, &first});
    RunScenario(scenario, {false, &second});
    EXPECT_EQ(first, second) << "seed " << seed;
    EXPECT_FALSE(first.empty());
  }
}

// Else the invariants would hold of nothing.
TEST(WorldTest, SeedsReachWhatIsToBeHeldAgainstTheInvariants) {
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    for (const auto& [what, count] :
         RunScenario(RandomScenario(seed, 500)).seen) {
      seen[what] += count;
    }
  }
  for (const std::string what : {
           "job QUEUED > LOADING",
           "job LOADING > RUNNING",
           "job LOADING > RECOVERING",
           "job RUNNING > COMPLETING",
           "job RUNNING > RECOVERING",
           "job RUNNING > SUSPENDING",
           "job RUNNING > CANCELLING",
           "job SUSPENDING > SUSPENDED",
           "job SUSPENDING > RECOVERING",
           "job SUSPENDED > QUEUED",
           "job COMPLETING > RECOVERING",
           "job COMPLETING > SUCCEEDED",
           "job RECOVERING > QUEUED",
           "ended SUCCEEDED",
           "ended CANCELLED",
           "ended FAILED",
       }) {
    EXPECT_THAT(seen, Contains(Pair(what, Gt(0)))) << what;
  }
}

// The planted bug: nobody compares epochs.
TEST(WorldTest, ABugInFencingIsFoundWithinAThousandSeeds) {
  RunOptions planted;
  planted.rewrites_fences = true;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const Scenario scenario = RandomScenario(seed, 500);
    const RunResult result = RunScenario(scenario, planted);
    if (!result.violation) continue;
    EXPECT_FALSE(RunScenario(scenario).violation);
    const Scenario small = Shrink(scenario, planted, /*most_runs=*/100);
    EXPECT_LE(small.actions.size(), scenario.actions.size());
    const RunResult again = RunScenario(small, planted);
    ASSERT_TRUE(again.violation);
    EXPECT_EQ(again.violation->invariant, result.violation->invariant);
    EXPECT_THAT(Explain(small, planted), HasSubstr("replay s"));
    return;
  }
  ADD_FAILURE() << "no seed has found it";
}

}  // namespace
}  // namespace penstock::simulation
