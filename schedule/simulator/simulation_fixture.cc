#include "schedule/simulator/simulation_fixture.h"

#include <utility>

#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"

namespace penstock {

Schedule Parsed(const std::string& text) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule{});
}

Schedule OverChain(const std::string& generator, int p, int m, int v,
                   const std::map<std::string, std::string>& parameters) {
  absl::StatusOr<Schedule> schedule =
      Generate(generator, {.num_ranks = p,
                           .num_stages = p * v,
                           .num_microbatches = m,
                           .parameters = parameters});
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  if (!schedule.ok()) return {};
  schedule->edges = ChainEdges(schedule->num_stages());
  return *std::move(schedule);
}

Timeline Simulated(const Schedule& schedule, const CostModel& costs,
                   const SimulateOptions& options) {
  absl::StatusOr<Timeline> timeline = Simulate(schedule, costs, options);
  EXPECT_TRUE(timeline.ok()) << timeline.status();
  return std::move(timeline).value_or(Timeline{});
}

TimelineSummary SummaryOf(const Schedule& schedule, const CostModel& costs) {
  return Summarise(schedule, Simulated(schedule, costs));
}

Schedule OfLists(int m, std::vector<std::vector<Action>> lists) {
  Schedule schedule;
  schedule.name = "lists";
  schedule.num_microbatches = m;
  const int p = static_cast<int>(lists.size());
  for (int rank = 0; rank < p; ++rank) {
    schedule.placement.push_back({RankId(rank)});
  }
  schedule.edges = ChainEdges(p);
  schedule.ranks = std::move(lists);
  return schedule;
}

}  // namespace penstock
