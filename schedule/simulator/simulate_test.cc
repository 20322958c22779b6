#include "schedule/simulator/simulate.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/lower.h"

namespace penstock {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;

constexpr double kNear = 1e-9;

Schedule Parse(const std::string& text) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule{});
}

Schedule Chain(const std::string& generator, int p, int m) {
  absl::StatusOr<Schedule> schedule = Generate(generator, {p, p, m});
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  schedule->edges = ChainEdges(p);
  return *schedule;
}

Timeline TimelineOf(const Schedule& schedule, const CostModel& costs,
                    const SimulateOptions& options = {}) {
  const absl::StatusOr<Timeline> timeline = Simulate(schedule, costs, options);
  EXPECT_TRUE(timeline.ok()) << timeline.status();
  return timeline.value_or(Timeline{});
}

TEST(SimulateTest, OneFOneBOfFourRanksTakesItsPublishedTime) {
  const Schedule schedule = Chain("one_f_one_b", 4, 16);
  const TimelineSummary summary =
      Summarise(schedule, TimelineOf(schedule, UniformCosts(schedule, {})));
  EXPECT_NEAR(summary.makespan, 57, kNear);
  EXPECT_NEAR(summary.sync_bubble, 3.0 / 19, kNear);
  EXPECT_NEAR(summary.ranks[0].peak_in_flight, 4, kNear);
  EXPECT_NEAR(summary.ranks[3].peak_in_flight, 1, kNear);
}

TEST(SimulateTest, LoweredAndUnloweredTakeTheSameTime) {
  for (const char* generator : {"naive", "gpipe", "one_f_one_b"}) {
    for (const double hop : {0.0, 0.25, 1.0}) {
      const Schedule plain = Chain(generator, 4, 6);
      const absl::StatusOr<Schedule> lowered =
          MakeFlushSchedule({generator, {}, 4, 4, 6, ChainEdges(4)});
      ASSERT_TRUE(lowered.ok()) << lowered.status();
      const UniformTimes times{.hop = hop};
      EXPECT_THAT(
          Summarise(*lowered,
                    TimelineOf(*lowered, UniformCosts(*lowered, times)))
              .makespan,
          DoubleNear(
              Summarise(plain, TimelineOf(plain, UniformCosts(plain, times)))
                  .makespan,
              kNear))
          << generator << " " << hop;
    }
  }
}

TEST(SimulateTest, ListsThatWaitForEachOtherAreAnErrorThatNamesOne) {
  const Schedule schedule = Parse(
      "penstock-schedule 1\nname bad\nmicrobatches 1\nplacement r0 r1\n"
      "edge activation h 0>1\nr0: 0B0 0F0\nr1: 1F0 1B0\n");
  const absl::Status status =
      Simulate(schedule, UniformCosts(schedule, {})).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("r0 waits for ever at action 0, 0B0"));
}

TEST(SummariseTest, TimeOfEveryRankAddsUpToTheMakespan) {
  const Schedule schedule = Chain("one_f_one_b", 4, 8);
  CostModel costs = UniformCosts(schedule, {.hop = 0.3});
  costs = ScaledCosts(costs, {1, 1.5, 0.7, 1});
  costs.action_overhead = 0.05;
  const TimelineSummary summary =
      Summarise(schedule, TimelineOf(schedule, costs));
  for (const RankSummary& rank : summary.ranks) {
    EXPECT_NEAR(rank.busy + rank.idle.total(), summary.makespan, kNear);
  }
}

TEST(CriticalPathTest, ReachesFromTheBeginningToTheEndWithoutGaps) {
  const Schedule schedule = Chain("one_f_one_b", 4, 8);
  const Timeline timeline =
      TimelineOf(schedule, UniformCosts(schedule, {.hop = 0.25}));
  const std::vector<CriticalStep> path = CriticalPath(timeline);
  ASSERT_FALSE(path.empty());
  EXPECT_EQ(path.front().rank, RankId(0));
  EXPECT_EQ(path.front().position, 0);
  EXPECT_NEAR(
      timeline.ranks[path.back().rank.value()][path.back().position].end,
      Summarise(schedule, timeline).makespan, kNear);
}

}  // namespace
}  // namespace penstock
