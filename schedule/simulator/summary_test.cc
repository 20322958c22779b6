#include "schedule/simulator/summary.h"

#include <vector>

#include "gtest/gtest.h"
#include "schedule/simulator/critical_path.h"
#include "schedule/simulator/memory.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

constexpr double kNear = 1e-9;

TEST(SummariseTest, OneFOneBOfFourRanksHasItsPublishedFigures) {
  const Schedule schedule = OverChain("one_f_one_b", 4, 16);
  const TimelineSummary summary =
      SummaryOf(schedule, UniformCosts(schedule, {}));
  EXPECT_NEAR(summary.makespan, 57, kNear);
  EXPECT_NEAR(summary.sync_bubble, 3.0 / 19, kNear);
  EXPECT_NEAR(summary.ranks[0].peak_in_flight, 4, kNear);
  EXPECT_NEAR(summary.ranks[3].peak_in_flight, 1, kNear);
}

TEST(SummariseTest, TimeOfEveryRankAddsUpToTheMakespan) {
  const Schedule schedule = OverChain("one_f_one_b", 4, 8);
  CostModel costs = UniformCosts(schedule, {.hop = 0.3});
  costs = ScaledCosts(costs, {1, 1.5, 0.7, 1});
  costs.action_overhead = 0.05;
  const TimelineSummary summary = SummaryOf(schedule, costs);
  for (const RankSummary& rank : summary.ranks) {
    EXPECT_NEAR(rank.busy + rank.idle.total(), summary.makespan, kNear);
  }
}

TEST(SummariseTest, IdleTimeOfAnEvenPipelineIsFillDrainAndDependency) {
  // r1 waits for its first F and after its last B; r0 for its first gradient.
  const Schedule schedule = OverChain("gpipe", 2, 3);
  const TimelineSummary summary =
      SummaryOf(schedule, UniformCosts(schedule, {}));
  EXPECT_NEAR(summary.ranks[1].idle.warm_up, 3, kNear);
  EXPECT_NEAR(summary.ranks[1].idle.dependency, 0, kNear);
  EXPECT_NEAR(summary.ranks[0].idle.warm_up, 0, kNear);
  EXPECT_NEAR(summary.ranks[0].idle.dependency, 3, kNear);
  EXPECT_NEAR(summary.span_bubble, 3.0 / (12 + 9), kNear);
}

TEST(SummariseTest, WaitForAMessageOnItsWayIsCommunication) {
  const Schedule schedule = OverChain("naive", 2, 1);
  const TimelineSummary summary =
      SummaryOf(schedule, UniformCosts(schedule, {.hop = 0.25}));
  EXPECT_NEAR(summary.ranks[0].idle.communication, 0.25, kNear);
  EXPECT_NEAR(summary.ranks[0].idle.dependency, 3.25, kNear);
}

TEST(SummariseTest, RankWithLessWorkIdlesForImbalance) {
  const Schedule schedule = OverChain("one_f_one_b", 2, 20);
  const CostModel costs = ScaledCosts(UniformCosts(schedule, {}), {1, 2});
  const TimelineSummary summary = SummaryOf(schedule, costs);
  EXPECT_NEAR(summary.ranks[0].idle.imbalance, 60, kNear);
  EXPECT_NEAR(summary.ranks[1].idle.imbalance, 0, kNear);
}

TEST(SummariseTest, RunThatWasCutShortCountsWhatRan) {
  const Schedule schedule = OverChain("gpipe", 2, 2);
  Timeline timeline = Simulated(schedule, UniformCosts(schedule, {}));
  timeline.ranks[0].resize(2);
  timeline.ranks[1][1] = TimelineEvent();
  timeline.ranks[1].resize(2);
  const TimelineSummary summary = Summarise(schedule, timeline);
  EXPECT_NEAR(summary.makespan, 2, kNear);
  EXPECT_NEAR(summary.ranks[1].busy, 1, kNear);
}

TEST(SummariseTest, EmptyTimelineIsAllZero) {
  const TimelineSummary summary = Summarise(Schedule{}, Timeline{});
  EXPECT_EQ(summary.makespan, 0);
  EXPECT_EQ(summary.sync_bubble, 0);
}

TEST(CriticalPathTest, ReachesFromTheBeginningToTheEndWithoutGaps) {
  const Schedule schedule = OverChain("one_f_one_b", 4, 8);
  const Timeline timeline = Simulated(schedule, UniformCosts(schedule, {}));
  const std::vector<CriticalStep> path = CriticalPath(timeline);
  double end = 0;
  for (const CriticalStep& step : path) {
    const TimelineEvent& event =
        timeline.ranks[step.rank.value()][step.position];
    EXPECT_NEAR(event.start, end, kNear);
    end = event.end;
  }
  EXPECT_NEAR(end, SummaryOf(schedule, UniformCosts(schedule, {})).makespan,
              kNear);
}

TEST(CriticalPathTest, EndsWhereAMeasurementDoesNotKnow) {
  const Timeline timeline{.ranks = {{{.start = 0, .end = 1}}}};
  EXPECT_EQ(CriticalPath(timeline).size(), 1u);
}

TEST(MemoryTest, GrowsAtForwardsAndShrinksAsTheBackwardGoes) {
  Schedule schedule = OfLists(1, {{Forward(StageId(0), MicrobatchId(0)),
                                   {.op = Op::kBackwardInput,
                                    .stage = StageId(0),
                                    .microbatch = MicrobatchId(0)},
                                   {.op = Op::kBackwardWeight,
                                    .stage = StageId(0),
                                    .microbatch = MicrobatchId(0)}}});
  CostModel costs = UniformCosts(schedule, {.saved_bytes = 100});
  costs.stages[0].pending_weight_bytes = 30;
  const std::vector<MemoryPoint> points =
      MemoryOverTime(schedule, Simulated(schedule, costs), RankId(0), &costs);
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].time, 0);
  EXPECT_EQ(points[0].bytes, 100);
  EXPECT_EQ(points[1].time, 2);
  EXPECT_EQ(points[1].bytes, 30);
  EXPECT_EQ(points[1].in_flight, 1);
  EXPECT_EQ(points[2].bytes, 0);
  EXPECT_EQ(points[2].in_flight, 0);
}

TEST(MemoryTest, RecomputedForwardKeepsItsInputOnly) {
  Schedule schedule = OfLists(1, {{Forward(StageId(0), MicrobatchId(0)),
                                   {.op = Op::kRecompute,
                                    .stage = StageId(0),
                                    .microbatch = MicrobatchId(0)},
                                   Backward(StageId(0), MicrobatchId(0))}});
  CostModel costs = UniformCosts(schedule, {.saved_bytes = 100});
  costs.stages[0].input_bytes = 10;
  const std::vector<MemoryPoint> points =
      MemoryOverTime(schedule, Simulated(schedule, costs), RankId(0), &costs);
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].bytes, 10);
  EXPECT_EQ(points[1].bytes, 100);
  EXPECT_EQ(points[2].bytes, 0);
}

TEST(MemoryTest, EveryWeightVersionButTheFirstAddsItsBytes) {
  Schedule schedule = OfLists(1, {{}, {}});
  schedule.versions = {{.delay = 1}, {.delay = 0}};
  CostModel costs = UniformCosts(schedule, {});
  for (StageCost& stage : costs.stages) {
    stage.static_bytes = 16;
    stage.version_bytes = 4;
  }
  EXPECT_EQ(StaticBytes(schedule, costs, RankId(0)), 20);
  EXPECT_EQ(StaticBytes(schedule, costs, RankId(1)), 16);
}

}  // namespace
}  // namespace penstock
