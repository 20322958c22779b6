#include "schedule/simulator/report.h"

#include <string>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/simulator/lower_bound.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SimulationReport ReportOf(const Schedule& schedule, const CostModel& costs) {
  absl::StatusOr<SimulationReport> report = SimulateAndReport(schedule, costs);
  EXPECT_TRUE(report.ok()) << report.status();
  return std::move(report).value_or(SimulationReport{});
}

double Draw(uint64_t seed, uint64_t what, double least, double most) {
  const double unit = static_cast<double>(RandomKey(seed, {what}) >> 11) /
                      static_cast<double>(uint64_t{1} << 53);
  return least + unit * (most - least);
}

CostModel RandomCosts(const Schedule& schedule, uint64_t seed) {
  CostModel costs = UniformCosts(schedule, {.hop = Draw(seed, 1, 0, 1)});
  uint64_t what = 10;
  for (StageCost& stage : costs.stages) {
    stage.forward = Draw(seed, ++what, 0.1, 2);
    stage.input_gradient = Draw(seed, ++what, 0.1, 2);
    stage.weight_gradient = Draw(seed, ++what, 0, 2);
  }
  costs.action_overhead = Draw(seed, 2, 0, 0.1);
  costs.pair_gain = Draw(seed, 3, 0, 1);
  return costs;
}

TEST(CriticalPathBoundTest, NoSimulationIsBelowIt) {
  for (const GeneratorInfo& generator : Generators()) {
    for (int p = 1; p <= 6; ++p) {
      for (int v = 1; v <= 2; ++v) {
        for (const int m : {1, 2, 5, 12}) {
          absl::StatusOr<Schedule> schedule =
              Generate(generator.name, {p, p * v, m});
          if (!schedule.ok() || schedule->is_continuous()) continue;
          schedule->edges = ChainEdges(p * v);
          const CostModel costs = RandomCosts(*schedule, 100 * p + m);
          EXPECT_GE(SummaryOf(*schedule, costs).makespan,
                    CriticalPathBound(*schedule, costs) * (1 - 1e-12))
              << generator.name << " " << p << " " << v << " " << m;
        }
      }
    }
  }
}

TEST(CriticalPathBoundTest, GpipeReachesIt) {
  const Schedule schedule = OverChain("gpipe", 4, 8);
  EXPECT_NEAR(CriticalPathBound(schedule, UniformCosts(schedule, {})), 33,
              1e-9);
}

TEST(ReportTest, SoundEvenScheduleHasNoWarnings) {
  const Schedule schedule = OverChain("one_f_one_b", 4, 16);
  EXPECT_THAT(ReportOf(schedule, UniformCosts(schedule, {})).warnings,
              IsEmpty());
}

TEST(ReportTest, PeakBytesHoldMicrobatchesInFlightAndStaticOnes) {
  const Schedule schedule = OverChain("one_f_one_b", 4, 16);
  CostModel costs = UniformCosts(schedule, {.saved_bytes = 10});
  costs.stages[0].static_bytes = 1000;
  const SimulationReport report = ReportOf(schedule, costs);
  EXPECT_EQ(report.peak_bytes, (std::vector<int64_t>{1040, 30, 20, 10}));
}

TEST(ReportTest, FewerMicrobatchesThanRanksIsAWarning) {
  const Schedule schedule = OverChain("gpipe", 4, 2);
  EXPECT_THAT(ReportOf(schedule, UniformCosts(schedule, {})).warnings,
              Contains(HasSubstr("2 microbatches cannot fill 4 ranks")));
}

TEST(ReportTest, UnevenPartitionNamesTheRankWithTheMostWork) {
  const Schedule schedule = OverChain("gpipe", 4, 8);
  const CostModel costs = ScaledCosts(UniformCosts(schedule, {}), {1, 1, 3});
  EXPECT_THAT(ReportOf(schedule, costs).warnings,
              Contains(HasSubstr("r2 has 2.00 times the mean work")));
}

TEST(ReportTest, SlowLinksAndOverheadAreWarnings) {
  const Schedule schedule = OverChain("one_f_one_b", 4, 8);
  CostModel costs = UniformCosts(schedule, {.hop = 3});
  EXPECT_THAT(ReportOf(schedule, costs).warnings,
              Contains(HasSubstr("messages on their way")));
  costs = UniformCosts(schedule, {});
  costs.action_overhead = 1;
  EXPECT_THAT(ReportOf(schedule, costs).warnings,
              Contains(HasSubstr("overhead of its actions")));
}

TEST(ReportTest, StagesWithoutEdgesAreAWarning) {
  Schedule schedule = OverChain("gpipe", 2, 4);
  schedule.edges.clear();
  EXPECT_THAT(ReportOf(schedule, UniformCosts(schedule, {})).warnings,
              Contains(HasSubstr("no edges")));
}

}  // namespace
}  // namespace penstock
