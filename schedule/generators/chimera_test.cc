#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr UniformTimes kEqual = {
    .forward = 1, .input_gradient = 1, .weight_gradient = 0};
constexpr UniformTimes kDouble = {
    .forward = 1, .input_gradient = 1, .weight_gradient = 1};

absl::StatusOr<Schedule> Chimera(int p, int m, int f = 1,
                                 const std::string& scale = "concat") {
  return Generate(
      "chimera", {p, 0, m, {{"pipelines", absl::StrCat(f)}, {"scale", scale}}});
}

TEST(ChimeraTest, FourRanksAreAsInThePaper) {
  const Schedule schedule = *Chimera(4, 4);
  EXPECT_EQ(ListText(schedule, 0), "0F0 0F1 3F2 3B2 3F3 3B3 0B0 0B1");
  EXPECT_EQ(ListText(schedule, 1), "1F0 2F2 1F1 2F3 2B2 1B0 2B3 1B1");
  EXPECT_EQ(ListText(schedule, 2), "1F2 2F0 1F3 2F1 2B0 1B2 2B1 1B3");
  EXPECT_EQ(ListText(schedule, 3), "0F2 0F3 3F0 3B0 3F1 3B1 0B2 0B3");
}

TEST(ChimeraTest, EachStageIsOnTheRanksOfItsPipelines) {
  EXPECT_THAT(Chimera(4, 4)->placement,
              ElementsAre(ElementsAre(RankId(0), RankId(3)),
                          ElementsAre(RankId(1), RankId(2)),
                          ElementsAre(RankId(1), RankId(2)),
                          ElementsAre(RankId(0), RankId(3))));
  EXPECT_THAT(
      Chimera(4, 4, 2)->placement,
      ElementsAre(ElementsAre(RankId(0), RankId(1), RankId(2), RankId(3)),
                  ::testing::SizeIs(4), ::testing::SizeIs(4),
                  ::testing::SizeIs(4)));
}

TEST(ChimeraTest, NextUnitBeginsInTheEndOfTheOneBefore) {
  EXPECT_EQ(ListText(*Chimera(2, 4), 0), "0F0 1F1 1B1 0B0 0F2 1F3 1B3 0B2");
  EXPECT_EQ(ListText(*Chimera(4, 8), 0),
            "0F0 0F1 3F2 3B2 3F3 3B3 0B0 0F4 0B1 0F5 3F6 3B6 3F7 3B7 0B4 0B5");
}

TEST(ChimeraTest, DoublingGivesAForwardTwoMicrobatches) {
  EXPECT_EQ(ListText(*Chimera(2, 4, 1, "doubling"), 0),
            "0F0+1 1F2+3 1B2 1B3 0B0 0B1");
  // The one that is left alone is a forward of one.
  EXPECT_EQ(ListText(*Chimera(2, 3, 1, "doubling"), 0),
            "0F0+1 1F2 1B2 0B0 0B1");
}

TEST(ChimeraTest, HalvingCutsTheBackward) {
  EXPECT_EQ(ListText(*Chimera(2, 2, 1, "halving"), 1),
            "0F1 1F0 1B0.0 1B0.1 0B1.0 0B1.1");
}

TEST(ChimeraTest, FewMicrobatchesAreSharedByBothDirections) {
  EXPECT_EQ(ListText(*Chimera(4, 2), 0), "0F0 3F1 3B1 0B0");
  EXPECT_EQ(ListText(*Chimera(4, 3), 0), "0F0 0F1 3F2 3B2 0B0 0B1");
}

TEST(ChimeraTest, PublishedMakespansAtFourRanks) {
  for (const auto& [m, makespan] :
       std::map<int, double>{{4, 16}, {8, 30}, {16, 58}, {32, 114}}) {
    EXPECT_EQ(FactsOf(*Chimera(4, m), kDouble).makespan, makespan);
  }
  for (const auto& [m, makespan] :
       std::map<int, double>{{8, 28}, {16, 52}, {32, 100}}) {
    const Facts facts = FactsOf(*Chimera(4, m, 1, "doubling"), kDouble);
    EXPECT_EQ(facts.makespan, makespan);
    EXPECT_EQ(facts.peak, 8);
    // Half the work in each action: the same columns at half the width.
    EXPECT_EQ(FactsOf(*Chimera(4, m / 2, 1, "halving"), kDouble).makespan,
              makespan / 2);
  }
}

// (p-2f)/(2fm+p-2f) of the total, where a backward takes as long as a forward.
TEST(ChimeraTest, BubbleOfWholeUnitsAndMemory) {
  for (int p = 2; p <= 16; p += 2) {
    for (int f = 1; f <= p / 2; ++f) {
      if (p / 2 % f != 0) continue;
      for (int m = p; m <= 64; m += p) {
        const Facts facts = FactsOf(*Chimera(p, m, f), kEqual);
        ASSERT_NEAR(facts.sync_bubble,
                    (p - 2.0 * f) / (2.0 * f * m + p - 2 * f), 1e-12)
            << p << " " << f << " " << m;
        ASSERT_EQ(facts.peak, p);
        ASSERT_EQ(facts.least_peak, p - p / (2 * f) + 1);
      }
    }
  }
}

TEST(ChimeraTest, OddRanksAndOddPipelinesNameTheNearest) {
  EXPECT_THAT(Chimera(7, 8).status().message(),
              HasSubstr("got 7; the nearest are 6 or 8 ranks"));
  EXPECT_THAT(Chimera(1, 8).status().message(),
              HasSubstr("got 1; the nearest are 2 ranks"));
  EXPECT_THAT(Chimera(8, 8, 3).status().message(),
              HasSubstr("want a divisor of 4; the nearest is 2"));
  EXPECT_THAT(Chimera(8, 8, 999).status().message(),
              HasSubstr("the nearest is 4"));
}

}  // namespace
}  // namespace penstock
