#include "schedule/simulator/steady_period.h"

#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/lower.h"
#include "schedule/simulator/continuous.h"

namespace penstock {
namespace {

Schedule Make(const std::string& name, int ranks, int stages,
              int microbatches) {
  ScheduleRequest request;
  request.generator = name;
  request.num_ranks = ranks;
  request.num_stages = stages;
  request.num_microbatches = microbatches;
  for (int stage = 0; stage + 1 < stages; ++stage) {
    request.edges.push_back(
        {EdgeKind::kActivation, "h", StageId(stage), StageId(stage + 1)});
  }
  const absl::StatusOr<Schedule> schedule = MakeSchedule(request);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

SteadyPeriod Simulated(const Schedule& schedule, const CostModel& costs) {
  absl::StatusOr<SteadyPeriod> period = SimulateSteadyPeriod(schedule, costs);
  EXPECT_TRUE(period.ok()) << period.status();
  return std::move(period).value_or(SteadyPeriod());
}

TEST(TracedScheduleTest, OfAFlushIsTheStepItself) {
  const Schedule flush = Make("gpipe", 2, 2, 4);
  EXPECT_EQ(TracedSchedule(flush, 7), flush);
}

TEST(TracedScheduleTest, EndsWithTheLastUpdateOfItsStep) {
  for (const int ranks : {1, 2, 4}) {
    const Schedule schedule = Make("pipedream_2bw", ranks, ranks, 4);
    for (const int step : {5, 9}) {
      const Schedule traced = TracedSchedule(schedule, step);
      ASSERT_EQ(traced.num_ranks(), ranks);
      EXPECT_TRUE(traced.period.empty());
      for (const std::vector<Action>& actions : traced.ranks) {
        int updates = 0;
        for (const Action& action : actions) {
          if (action.op != Op::kUpdate) continue;
          ++updates;
          EXPECT_EQ(action.version, step) << ToString(action);
        }
        EXPECT_EQ(updates, 1);
      }
    }
  }
}

TEST(TracedScheduleTest, OfManyUpdatesAStepTheLastIsTheSteps) {
  const Schedule traced = TracedSchedule(Make("pipedream", 3, 3, 4), 6);
  for (const std::vector<Action>& actions : traced.ranks) {
    int last = 0;
    for (const Action& action : actions) {
      if (action.op == Op::kUpdate) last = *action.version;
    }
    EXPECT_EQ(last, 4 * 6);
  }
}

TEST(SteadyPeriodTest, TakesWhatALongerRunTakesMore) {
  for (const char* name :
       {"pipedream", "pipedream_vertical", "pipedream_2bw"}) {
    const Schedule schedule = Make(name, 4, 4, 4);
    const CostModel costs = UniformCosts(schedule, {.hop = 0.1});
    const auto report = SimulateContinuous(schedule, costs, 8);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_NEAR(Simulated(schedule, costs).seconds, report->period_time, 1e-9);
  }
  const Schedule groups = Make("wpipe", 3, 6, 4);
  const CostModel costs = UniformCosts(groups, {});
  EXPECT_NEAR(Simulated(groups, costs).seconds, 4 * 3, 1e-9);
}

TEST(SteadyPeriodTest, ItsTimelineIsOfTheTracedLists) {
  const Schedule schedule = Make("pipedream_2bw", 3, 3, 3);
  const SteadyPeriod period =
      Simulated(schedule, UniformCosts(schedule, {.hop = 0.5}));
  ASSERT_EQ(period.timeline.ranks.size(), 3u);
  double first = 1;
  for (int rank = 0; rank < 3; ++rank) {
    const std::vector<TimelineEvent>& events = period.timeline.ranks[rank];
    ASSERT_EQ(events.size(), schedule.period[rank].size());
    first = std::min(first, events.front().start);
    for (const TimelineEvent& event : events) {
      EXPECT_GE(event.start, 0);
      EXPECT_GE(event.end, event.start);
      if (event.after_position < 0) continue;
      EXPECT_LT(event.after_position,
                std::ssize(period.timeline.ranks[event.after_rank.value()]));
    }
  }
  EXPECT_EQ(first, 0);
}

TEST(SteadyPeriodTest, TimesOfActionsCountInEveryRepetition) {
  const Schedule schedule = Make("pipedream", 2, 2, 1);
  CostModel costs = UniformCosts(schedule, {});
  for (const std::vector<Action>& actions : schedule.period) {
    std::vector<double>& times = costs.action_times.emplace_back();
    for (const Action& action : actions) {
      times.push_back(IsCompute(action.op) ? 7 : -1);
    }
  }
  EXPECT_NEAR(Simulated(schedule, costs).seconds, 2 * 7, 1e-9);
}

TEST(SteadyPeriodTest, OfAFlushIsItsRun) {
  const Schedule schedule = Make("gpipe", 2, 2, 4);
  const SteadyPeriod period = Simulated(schedule, UniformCosts(schedule, {}));
  EXPECT_NEAR(period.seconds, 5 * 3, 1e-9);
  EXPECT_EQ(period.timeline.ranks[0].size(), schedule.ranks[0].size());
}

TEST(SteadyPeriodTest, CostsThatDoNotFitAreRefused) {
  const Schedule schedule = Make("pipedream", 2, 2, 1);
  CostModel costs = UniformCosts(schedule, {});
  costs.stages.pop_back();
  EXPECT_TRUE(
      absl::IsInvalidArgument(SimulateSteadyPeriod(schedule, costs).status()));
}

}  // namespace
}  // namespace penstock
