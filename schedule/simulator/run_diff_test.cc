#include "schedule/simulator/run_diff.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(GridDiffTest, MarksRowsThatDiffer) {
  const Schedule left = OverChain("one_f_one_b", 2, 2);
  Schedule right = left;
  EXPECT_EQ(GridDiff(left, right),
            "step  r0    r1      step  r0    r1\n"
            "   0  0F0   .          0  0F0   .\n"
            "   1  0F1   1F0        1  0F1   1F0\n"
            "   2  .     1B0        2  .     1B0\n"
            "   3  0B0   1F1        3  0B0   1F1\n"
            "   4  .     1B1        4  .     1B1\n"
            "   5  0B1   .          5  0B1   .\n");
  right = OverChain("naive", 2, 2);
  EXPECT_THAT(GridDiff(left, right),
              HasSubstr("   1  0F1   1F0  |     1  .     1F0\n"));
}

TEST(GridDiffTest, TheLongerOneStandsAloneAtTheEnd) {
  const std::string diff =
      GridDiff(OverChain("gpipe", 1, 1), OverChain("gpipe", 1, 2));
  EXPECT_THAT(diff, HasSubstr("\n           |     3  0B1\n"));
}

TEST(MarkDifferencesTest, MarksOtherActionsAndOtherTimes) {
  const Schedule left = OverChain("gpipe", 1, 2);
  const Schedule right = OverChain("gpipe", 1, 2, 1, {{"order", "lifo"}});
  const Timeline left_run = Simulated(left, UniformCosts(left, {}));
  const Timeline right_run = Simulated(right, UniformCosts(right, {}));
  RunView a = {.schedule = &left, .timeline = &left_run};
  RunView b = {.schedule = &right, .timeline = &right_run};
  MarkDifferences(0, &a, &b);
  EXPECT_THAT(a.marked, ElementsAre(ElementsAre(false, false, true, true)));
  EXPECT_EQ(a.marked, b.marked);

  Timeline late = left_run;
  late.ranks[0][3].start += 0.5;
  RunView c = {.schedule = &left, .timeline = &late};
  MarkDifferences(0.4, &a, &c);
  EXPECT_THAT(c.marked, ElementsAre(ElementsAre(false, false, false, true)));
  MarkDifferences(0.6, &a, &c);
  EXPECT_THAT(c.marked, ElementsAre(ElementsAre(false, false, false, false)));
}

TEST(RunDiffTest, TellsWhereTheOrdersPart) {
  const Schedule left = OverChain("one_f_one_b", 2, 4);
  const Schedule right = OverChain("gpipe", 2, 4);
  const Timeline left_run = Simulated(left, UniformCosts(left, {}));
  const Timeline right_run = Simulated(right, UniformCosts(right, {}));
  const std::string diff =
      RunDiff({.schedule = &left, .timeline = &left_run},
              {.schedule = &right, .timeline = &right_run});
  EXPECT_THAT(diff, HasSubstr("in flight               2            4\n"));
  EXPECT_THAT(diff,
              HasSubstr("r0: same for 2 actions, then 0B0 against 0F2\n"));
}

TEST(RunDiffTest, HoldsARunAgainstItsPrediction) {
  const Schedule schedule = OverChain("gpipe", 2, 2);
  const Timeline predicted = Simulated(schedule, UniformCosts(schedule, {}));
  CostModel slower = UniformCosts(schedule, {});
  slower.action_times = {{-1, 1.5}, {}};
  const Timeline measured = Simulated(schedule, slower);
  const std::string diff = RunDiff(
      {.title = "predicted", .schedule = &schedule, .timeline = &predicted},
      {.title = "measured", .schedule = &schedule, .timeline = &measured});
  EXPECT_THAT(diff, HasSubstr("r0: same order, ends +0.5, most of it at 0F1 "
                              "(+0.5)\n"));
  EXPECT_THAT(RunDiff({.schedule = &schedule, .timeline = &predicted},
                      {.schedule = &schedule, .timeline = &predicted}),
              HasSubstr("r1: same order, same times\n"));
}

TEST(RunDiffTest, DifferentNumbersOfRanksAreTold) {
  const Schedule left = OverChain("gpipe", 1, 1);
  const Schedule right = OverChain("gpipe", 2, 1);
  const Timeline left_run = Simulated(left, UniformCosts(left, {}));
  const Timeline right_run = Simulated(right, UniformCosts(right, {}));
  RunView a = {.schedule = &left, .timeline = &left_run};
  RunView b = {.schedule = &right, .timeline = &right_run};
  EXPECT_THAT(RunDiff(a, b),
              HasSubstr("r1: same for 0 actions, then nothing against 1F0\n"));
  MarkDifferences(0, &a, &b);
  EXPECT_THAT(b.marked[1], ElementsAre(true, true));
}

}  // namespace
}  // namespace penstock
