#include "schedule/planner/list_schedule.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/simulator/simulation_fixture.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

Schedule Listed(const Schedule& outline, const CostModel& costs,
                const ListScheduleOptions& options) {
  absl::StatusOr<Schedule> schedule =
      ListSchedule(outline, costs, WayToTheEnd(outline, costs), options);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule{});
}

TEST(ListScheduleTest, EveryCapThatHoldsOneMicrobatchGivesASoundSchedule) {
  for (int p = 1; p <= 5; ++p) {
    for (int v = 1; v <= 3; ++v) {
      const Schedule outline = OverChain("interleaved", p, 2 * p, v);
      const CostModel costs = UniformCosts(outline, {.hop = 0.2});
      for (const double cap : {1.0, 1.5, 2.0, 100.0}) {
        for (const bool split : {false, true}) {
          const Schedule schedule =
              Listed(outline, costs,
                     {.split_backward = split, .cap = {.in_flight = cap}});
          const absl::Status sound =
              SoundOrError(schedule, Verify(schedule, {.lowered = false}));
          EXPECT_TRUE(sound.ok()) << sound;
          for (const RankSummary& rank : SummaryOf(schedule, costs).ranks) {
            EXPECT_LE(rank.peak_in_flight, cap + 1e-9);
          }
        }
      }
    }
  }
}

TEST(ListScheduleTest, OrderOfAFixedScheduleIsKeptWhereItIsGood) {
  const Schedule fixed = OverChain("one_f_one_b", 4, 8);
  const CostModel costs = UniformCosts(fixed, {});
  const ActionPriorities starts =
      StartTimes(fixed, costs, Simulated(fixed, costs));
  const absl::StatusOr<Schedule> listed = ListSchedule(
      fixed, costs, starts,
      {.split_backward = false, .patience = 1, .cap = {.in_flight = 4}});
  ASSERT_TRUE(listed.ok()) << listed.status();
  EXPECT_LE(SummaryOf(*listed, costs).makespan,
            SummaryOf(fixed, costs).makespan);
}

TEST(ListScheduleTest, SplitBackwardFillsTheBubble) {
  const Schedule outline = OverChain("one_f_one_b", 4, 16);
  const CostModel costs = UniformCosts(outline, {});
  EXPECT_LT(SummaryOf(Listed(outline, costs, {.split_backward = true}), costs)
                .makespan,
            SummaryOf(Listed(outline, costs, {.split_backward = false}), costs)
                .makespan);
}

TEST(ListScheduleTest, CapBelowOneMicrobatchNamesTheRank) {
  const Schedule outline = OverChain("interleaved", 2, 4, 2);
  const CostModel costs = UniformCosts(outline, {.saved_bytes = 100});
  const absl::Status status =
      ListSchedule(outline, costs, WayToTheEnd(outline, costs),
                   {.cap = {.bytes = 99}})
          .status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("r0 cannot hold one microbatch of its 2 stages"));
}

TEST(ListScheduleTest, StagesOnSeveralRanksAndCirclesAreRefused) {
  Schedule outline = OverChain("gpipe", 2, 2);
  const CostModel costs = UniformCosts(outline, {});
  const ActionPriorities priorities = WayToTheEnd(outline, costs);
  Schedule replicas = outline;
  replicas.placement[0].push_back(RankId(1));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ListSchedule(replicas, costs, priorities, {}).status()));
  Schedule circle = outline;
  circle.edges.push_back(
      {EdgeKind::kActivation, "back", StageId(1), StageId(0)});
  EXPECT_TRUE(absl::IsInvalidArgument(
      ListSchedule(circle, costs, priorities, {}).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(ListSchedule(outline, costs, {}, {}).status()));
}

TEST(LatestStartsTest, CriticalActionsHaveNoSlack) {
  const Schedule schedule = OverChain("naive", 2, 1);
  const CostModel costs = UniformCosts(schedule, {});
  const ActionPriorities latest =
      LatestStarts(schedule, costs, Simulated(schedule, costs));
  EXPECT_EQ(latest.forward, (std::vector<double>{0, 1}));
  EXPECT_EQ(latest.backward, (std::vector<double>{4, 2}));
}

}  // namespace
}  // namespace penstock
