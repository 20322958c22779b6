#include "stage_server/engine/action_ring.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(ActionRingTest, KeepsTheLatest) {
  ActionRing ring;
  const int capacity = static_cast<int>(ActionRing::kMinCapacity);
  EXPECT_TRUE(ring.Latest(3).empty());
  for (int i = 0; i < capacity + 10; ++i) {
    ring.Add({/*step=*/1, /*action=*/i, i, i + 1, i + 2});
  }
  const std::vector<ActionRecord> latest = ring.Latest(3);
  ASSERT_EQ(latest.size(), 3u);
  EXPECT_EQ(latest[0].action, capacity + 7);
  EXPECT_EQ(latest[2].action, capacity + 9);
  const std::vector<ActionRecord> all = ring.Latest(1 << 20);
  ASSERT_EQ(all.size(), ActionRing::kMinCapacity);
  EXPECT_EQ(all[0].action, 10);
}

TEST(ActionRingTest, HoldsALongListWhole) {
  ActionRing ring(10'000);
  for (int i = 0; i < 20'000; ++i) ring.Add({/*step=*/1, i, i, i, i});
  const std::vector<ActionRecord> all = ring.Latest(10'000);
  ASSERT_EQ(all.size(), 10'000u);
  EXPECT_EQ(all.front().action, 10'000);
  EXPECT_EQ(all.back().action, 19'999);
}

}  // namespace
}  // namespace penstock
