#include "stage_server/engine/action_ring.h"

#include <gtest/gtest.h>

#include <memory>

namespace penstock {
namespace {

TEST(ActionRingTest, KeepsTheLatest) {
  const auto ring = std::make_unique<ActionRing>();
  EXPECT_TRUE(ring->Latest(3).empty());
  for (int i = 0; i < ActionRing::kCapacity + 10; ++i) {
    ring->Add({/*step=*/1, /*action=*/i, i, i + 1});
  }
  const std::vector<ActionRecord> latest = ring->Latest(3);
  ASSERT_EQ(latest.size(), 3u);
  EXPECT_EQ(latest[0].action, ActionRing::kCapacity + 7);
  EXPECT_EQ(latest[2].action, ActionRing::kCapacity + 9);
  const std::vector<ActionRecord> all = ring->Latest(1 << 20);
  ASSERT_EQ(all.size(), size_t{ActionRing::kCapacity});
  EXPECT_EQ(all[0].action, 10);
}

}  // namespace
}  // namespace penstock
