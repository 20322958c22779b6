#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"

namespace penstock {
namespace {

TEST(DualPipeVTest, EightPhases) {
  const Schedule schedule = *Generate("dual_pipe_v", {2, 4, 4});
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 0F2 3F0 3I0 3W0 3F1 0F3& 3B1 3F2& 0B0 3B2 3F3& 0B1 3B3 "
            "0I2 0W2 0I3 0W3");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 2F0 1F1 2F1 1F2& 2B0 2F2& 1B0 1F3& 2B1 2F3& 1B1 2B2 1B2 2I3 "
            "1I3 2W3 1W3");
}

TEST(DualPipeVTest, HalfAMicrobatchMoreThanTheRanksInFlight) {
  for (int p = 1; p <= 16; ++p) {
    const Facts facts = FactsOf(*Generate("dual_pipe_v", {p, 2 * p, 4 * p}));
    EXPECT_EQ(facts.peak, p + 0.5) << p;
  }
}

TEST(DualPipeVTest, PairsLoseTheirMarkWithTheirOtherHalf) {
  const Schedule schedule = *Generate("dual_pipe_v", {2, 4, 1});
  EXPECT_EQ(ListText(schedule, 0), "0F0 3F0 3I0 3W0 0B0");
}

}  // namespace
}  // namespace penstock
