#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"

namespace penstock {
namespace {

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
