// v_half and v_min: memory below their bounds, and bubbles not above those of
// their blocks.

#include "schedule/generators/building_block.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/v_half.h"
#include "schedule/generators/v_min.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {
namespace {

constexpr double kNear = 1e-9;

// Those of the design's table.
const std::vector<UniformTimes>& Settings() {
  static const auto* settings = new std::vector<UniformTimes>{
      {.forward = 1, .input_gradient = 1, .weight_gradient = 1},
      {.forward = 1, .input_gradient = 1, .weight_gradient = 1, .hop = 0.1},
      {.forward = 1, .input_gradient = 1.3, .weight_gradient = 0.8},
      {.forward = 1, .input_gradient = 1.3, .weight_gradient = 0.8, .hop = 0.1},
  };
  return *settings;
}

Schedule Made(const std::string& name, int p, int m) {
  return *Generate(name, {p, 2 * p, m});
}

TEST(RepeatBlockTest, WeightHalvesTakeTheFirstFreeSlots) {
  const BuildingBlock block{.slots = {{0, 1, 2, 3}}, .max_in_flight = 2};
  Schedule schedule = Made("v_min", 1, 2);
  schedule.ranks = RepeatBlock(block, 2);
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 1F0 1I0 0I0 1W0 0W0 0F1 1F1 1I1 0I1 1W1 0W1");
}

TEST(VHalfTest, TwoRanks) {
  const Schedule schedule = Made("v_half", 2, 3);
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 0F2 3F0 3I0 3W0 3F1 3I1 0I0 0W0 3F2 3I2 0I1 3W1 0I2 0W1 "
            "3W2 0W2");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 2F0 1F1 2F1 2I0 2W0 1I0 1W0 1F2 2F2 2I1 1I1 2I2 1I2 2W1 1W1 "
            "2W2 1W2");
}

TEST(VMinTest, TwoRanks) {
  const Schedule schedule = Made("v_min", 2, 3);
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 3F0 3I0 3F1 3W0 0I0 0F2 0W0 3I1 3F2 3I2 0I1 3W1 0I2 0W1 "
            "3W2 0W2");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 2F0 1F1 2F1 2I0 1I0 2W0 1W0 1F2 2F2 2I1 1I1 2I2 1I2 2W1 1W1 "
            "2W2 1W2");
}

TEST(VHalfTest, HalfTheRanksAndOneInFlight) {
  for (int p = 1; p <= 24; ++p) {
    for (const int m : {1, p, 2 * p + 1, 5 * p}) {
      ASSERT_LE(FactsOf(Made("v_half", p, m)).peak, (p + 2) / 2)
          << p << " " << m;
    }
  }
}

TEST(VMinTest, AThirdOfTheRanksAndOneInFlight) {
  for (int p = 1; p <= 24; ++p) {
    for (const int m : {1, p, 2 * p + 1, 5 * p}) {
      ASSERT_LE(FactsOf(Made("v_min", p, m)).peak, (p + 4) / 3)
          << p << " " << m;
    }
  }
}

TEST(SqueezeTest, IsNeverSlowerThanTheBlock) {
  for (int p = 1; p <= 16; ++p) {
    for (const bool half : {true, false}) {
      const int m = 3 * p;
      const Schedule squeezed = Made(half ? "v_half" : "v_min", p, m);
      Schedule plain = squeezed;
      plain.ranks = RepeatBlock(half ? VHalfBlock(p) : VMinBlock(p), m);
      for (const UniformTimes& times : Settings()) {
        ASSERT_LE(FactsOf(squeezed, times).makespan,
                  FactsOf(plain, times).makespan + kNear)
            << p << " " << half;
      }
    }
  }
}

// The design's table, p = 8, m = 32, percent of the total; it says "at most".
TEST(SqueezeTest, BubblesAtEightRanks) {
  const std::vector<double> half = {8.13, 11.68, 11.23, 16.25};
  const std::vector<double> min = {10.70, 21.38, 26.79, 34.00};
  for (size_t i = 0; i < Settings().size(); ++i) {
    EXPECT_NEAR(100 * FactsOf(Made("v_half", 8, 32), Settings()[i]).sync_bubble,
                half[i], 0.005);
    EXPECT_NEAR(100 * FactsOf(Made("v_min", 8, 32), Settings()[i]).sync_bubble,
                min[i], 0.005);
  }
}

}  // namespace
}  // namespace penstock
