// zb_h1, zb_h2, interleaved_zb and zbv: their orders, bubbles and memory.

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {
namespace {

constexpr double kNear = 1e-9;

// The idle time of one rank: of the whole run, all ranks being equally busy.
double IdleTime(const Facts& facts, double busy) {
  return facts.makespan - busy;
}

// Times of which no two are equal, with tW <= tI and 2tW <= tF+tI.
constexpr UniformTimes kUneven = {
    .forward = 1, .input_gradient = 1.25, .weight_gradient = 0.75};

TEST(ZbH1Test, OneWeightHalfAfterEachPairButTheFirstR) {
  const Schedule schedule = *Generate("zb_h1", {3, 3, 4});
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 0F2 0I0 0W0 0F3 0I1 0W1 0I2 0W2 0I3 0W3");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 1F1 1I0 1F2 1I1 1W0 1F3 1I2 1W1 1I3 1W2 1W3");
  EXPECT_EQ(ListText(schedule, 2),
            "2F0 2I0 2F1 2I1 2F2 2I2 2W0 2F3 2I3 2W1 2W2 2W3");
}

TEST(ZbH1Test, IdleTimeAndMemoryAreAsPublished) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = p; m <= 40; m += 3) {
      const Schedule schedule = *Generate("zb_h1", {p, p, m});
      const Facts even = FactsOf(schedule);
      ASSERT_NEAR(IdleTime(even, 3 * m), p - 1, kNear) << p << " " << m;
      ASSERT_EQ(even.peak, p);
      ASSERT_EQ(even.least_peak, p);
      ASSERT_NEAR(IdleTime(FactsOf(schedule, kUneven), 3 * m), 1.5 * (p - 1),
                  kNear);
    }
  }
}

TEST(ZbH2Test, WeightHalvesWaitForTheRanksBefore) {
  const Schedule schedule = *Generate("zb_h2", {2, 2, 4});
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 0F2 0I0 0W0 0F3 0I1 0W1 0I2 0W2 0I3 0W3");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 1I0 1F1 1I1 1F2 1I2 1W0 1F3 1I3 1W1 1W2 1W3");
}

TEST(ZbH2Test, IdleTimeAndMemoryAreAsPublished) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = 2 * p - 1; m <= 40; m += 3) {
      const Schedule schedule = *Generate("zb_h2", {p, p, m});
      const Facts even = FactsOf(schedule);
      ASSERT_NEAR(IdleTime(even, 3 * m), p - 1, kNear) << p << " " << m;
      ASSERT_NEAR(even.span_bubble, 0, kNear) << p << " " << m;
      ASSERT_EQ(even.peak, 2 * p - 1);
      ASSERT_EQ(even.least_peak, 2 * p - 1);
      const Facts uneven = FactsOf(schedule, kUneven);
      ASSERT_NEAR(IdleTime(uneven, 3 * m), p - 1, kNear) << p << " " << m;
    }
  }
}

TEST(InterleavedZbTest, ChunksTakeTurnsAndWeightHalvesWait) {
  const Schedule schedule = *Generate("interleaved_zb", {2, 0, 2});
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 2F0 2F1 2I0 2W0 2I1 2W1 0I0 0W0 0I1 0W1");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 1F1 3F0 3I0 3F1 3I1 3W0 1I0 3W1 1I1 1W0 1W1");
}

TEST(InterleavedZbTest, IdleTimeIsDividedByTheChunks) {
  for (int p = 1; p <= 12; ++p) {
    for (int v = 1; v <= 3; ++v) {
      for (int m = p; m <= 5 * p; m += p) {
        const Schedule schedule = *Generate(
            "interleaved_zb", {p, 0, m, {{"chunks", absl::StrCat(v)}}});
        ASSERT_NEAR(IdleTime(FactsOf(schedule), 3 * m), (p - 1.0) / v, kNear)
            << p << " " << v << " " << m;
        ASSERT_NEAR(IdleTime(FactsOf(schedule, kUneven), 3 * m),
                    1.5 * (p - 1) / v, kNear)
            << p << " " << v << " " << m;
      }
    }
  }
}

TEST(ZbvTest, PhasesFollowEachOther) {
  const Schedule schedule = *Generate("zbv", {2, 4, 4});
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 0F2 3F0 3I0 3W0 3F1 3I1 3W1 0F3 0I0 0W0 3F2 3I2 3W2 0I1 "
            "0W1 3F3 3I3 3W3 0I2 0W2 0I3 0W3");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 2F0 1F1 2F1 2I0 2W0 1F2 1I0 1W0 2F2 2I1 2W1 1F3 1I1 1W1 2F3 "
            "2I2 2W2 1I2 2I3 1I3 1W2 2W3 1W3");
}

TEST(ZbvTest, LossIsOnTheFirstRank) {
  const Schedule schedule = *Generate("zbv", {3, 6, 4});
  EXPECT_EQ(schedule.placement.front().front(), RankId(0));
  EXPECT_EQ(schedule.placement.back().front(), RankId(0));
}

TEST(ZbvTest, IdleTimeAndMemoryAreAsPublished) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = 2 * p - 1; m <= 40; m += 3) {
      const Facts facts = FactsOf(*Generate("zbv", {p, 2 * p, m}));
      ASSERT_NEAR(IdleTime(facts, 3 * m), (p - 1) / 2.0, kNear)
          << p << " " << m;
      ASSERT_NEAR(facts.span_bubble, 0, kNear) << p << " " << m;
      ASSERT_EQ(facts.peak, p);
      ASSERT_EQ(facts.least_peak, p);
    }
  }
}

}  // namespace
}  // namespace penstock
