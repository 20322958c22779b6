#include "schedule/simulator/continuous.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/unroll.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_reductions.h"
#include "schedule/lowering/insert_updates.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

ContinuousReport ReportOf(const Schedule& schedule, const CostModel& costs,
                          int periods) {
  absl::StatusOr<ContinuousReport> report =
      SimulateContinuous(schedule, costs, periods);
  EXPECT_TRUE(report.ok()) << report.status();
  return std::move(report).value_or(ContinuousReport{});
}

// A run of that many microbatches in all.
Schedule RunOf(const Schedule& schedule, int microbatches) {
  for (int periods = 0; periods <= microbatches; ++periods) {
    absl::StatusOr<Schedule> run = Unroll(schedule, periods);
    EXPECT_TRUE(run.ok()) << run.status();
    if (!run.ok()) break;
    if (run->num_microbatches == microbatches) return *std::move(run);
  }
  ADD_FAILURE() << "no run of " << microbatches << " microbatches";
  return {};
}

// n updates of m = p = 4, 4n microbatches; the bubble of the whole run.
TEST(ContinuousGoldenTest, BubbleOfTheWholeRunIsAsPublishedAtAnyRatio) {
  struct Case {
    const char* generator;
    int v;
    std::map<int, double> percent;
  };
  const Case cases[] = {{"pipedream", 1, {{4, 15.8}, {16, 4.5}, {64, 1.2}}},
                        {"pipedream_2bw", 1, {{4, 15.8}, {16, 4.5}, {64, 1.2}}},
                        {"wpipe", 2, {{4, 8.6}, {16, 2.3}, {64, 0.6}}}};
  for (const Case& given : cases) {
    for (const auto& [updates, percent] : given.percent) {
      for (const double backward : {0.5, 1.0, 2.0, 3.0}) {
        const Schedule schedule = OverChain(given.generator, 4, 4, given.v);
        const Schedule run = RunOf(schedule, 4 * updates);
        const double bubble =
            SummaryOf(run, UniformCosts(run, {.input_gradient = backward,
                                              .weight_gradient = 0}))
                .sync_bubble;
        EXPECT_NEAR(100 * bubble, percent, 0.05)
            << given.generator << ", " << updates << " updates, backward "
            << backward;
      }
    }
  }
}

TEST(SimulateContinuousTest, EvenPeriodsHaveNoBubble) {
  for (const char* generator :
       {"pipedream", "pipedream_vertical", "pipedream_2bw"}) {
    const Schedule schedule = OverChain(generator, 4, 4);
    const ContinuousReport report =
        ReportOf(schedule, UniformCosts(schedule, {}), 5);
    EXPECT_NEAR(report.period_time, 3.0 * schedule.num_microbatches, 1e-9)
        << generator;
    EXPECT_NEAR(report.period_bubble, 0, 1e-9) << generator;
    EXPECT_THAT(report.report.warnings, Each(Not(HasSubstr("stalls"))));
  }
}

TEST(SimulateContinuousTest, PeriodsThatWaitAreAWarning) {
  const Schedule schedule = OverChain("pipedream", 4, 4);
  const ContinuousReport report =
      ReportOf(schedule, UniformCosts(schedule, {.hop = 1}), 5);
  EXPECT_GT(report.period_bubble, 0);
  EXPECT_THAT(report.report.warnings, Contains(HasSubstr("stalls")));
}

// Work of 3 a microbatch on each rank: stage 0 is on two ranks and takes twice
// as long. `extra_round` lets its weights be one round older.
double TimeOfAMicrobatch(const std::string& extra_round) {
  absl::StatusOr<Schedule> schedule = Generate(
      "pipedream",
      {.num_ranks = 4,
       .num_stages = 3,
       .num_microbatches = 2,
       .parameters = {{"replicas", "2,1,1"}, {"extra_round", extra_round}}});
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  schedule->edges = ChainEdges(3);
  for (const auto lower :
       {InsertReductions, InsertUpdates, InsertCommunication}) {
    schedule = lower(*std::move(schedule));
    EXPECT_TRUE(schedule.ok()) << schedule.status();
    if (!schedule.ok()) return 0;
  }
  const CostModel costs = ScaledCosts(UniformCosts(*schedule, {}), {2, 1, 1});
  return ReportOf(*schedule, costs, 20).period_time /
         schedule->num_microbatches;
}

TEST(SimulateContinuousTest, ReplicasWaitForEachOtherUnlessWeightsMayBeOlder) {
  EXPECT_NEAR(TimeOfAMicrobatch("no"), 4.5, 1e-9);
  EXPECT_NEAR(TimeOfAMicrobatch("yes"), 3, 1e-9);
}

TEST(SimulateContinuousTest, FlushIsOneStep) {
  const Schedule schedule = OverChain("gpipe", 4, 4);
  const ContinuousReport report =
      ReportOf(schedule, UniformCosts(schedule, {}), 3);
  EXPECT_NEAR(report.period_time, 21, 1e-9);
  EXPECT_NEAR(report.period_bubble, 3.0 / 7, 1e-9);
  EXPECT_EQ(report.run, schedule);
}

TEST(SimulateContinuousTest, RunWithoutAPeriodIsRefused) {
  const Schedule schedule = OverChain("pipedream", 2, 2);
  EXPECT_TRUE(absl::IsInvalidArgument(
      SimulateContinuous(schedule, UniformCosts(schedule, {}), 0).status()));
}

}  // namespace
}  // namespace penstock
