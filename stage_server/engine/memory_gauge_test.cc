#include "stage_server/engine/memory_gauge.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <optional>

namespace penstock {
namespace {

at::Tensor Bytes(int64_t count) { return at::empty({count}, at::kByte); }

TEST(MemoryGaugeTest, CountsWhatIsHeldWhileItWatches) {
  MemoryGauge gauge;
  at::Tensor unseen = Bytes(1 << 10);
  const MemoryGauge::Watch watch(gauge);
  at::Tensor held = Bytes(1 << 12);
  EXPECT_EQ(gauge.live_bytes(), 1 << 12);
  // A view is no memory of its own.
  at::Tensor view = held.narrow(0, 0, 8);
  held.reset();
  EXPECT_EQ(gauge.live_bytes(), 1 << 12);
  view.reset();
  EXPECT_EQ(gauge.live_bytes(), 0);
  // Nor does what it did not see come count when it goes.
  unseen.reset();
  EXPECT_EQ(gauge.live_bytes(), 0);
}

TEST(MemoryGaugeTest, SeesNothingWhileItDoesNotWatch) {
  MemoryGauge gauge;
  { const MemoryGauge::Watch watch(gauge); }
  const at::Tensor unseen = Bytes(64);
  EXPECT_EQ(gauge.live_bytes(), 0);
}

TEST(MemoryGaugeTest, ABlockThatWentUnseenAndCameAgainCountsOnce) {
  MemoryGauge gauge;
  std::optional<MemoryGauge::Watch> watch;
  watch.emplace(gauge);
  at::Tensor held = Bytes(1 << 20);
  watch.reset();
  held.reset();
  watch.emplace(gauge);
  // Most likely the same address.
  held = Bytes(1 << 20);
  EXPECT_GE(gauge.live_bytes(), 1 << 20);
  EXPECT_LE(gauge.live_bytes(), 2 << 20);
}

TEST(MemoryGaugeTest, EachPartHasAHighestOfItsOwn) {
  MemoryGauge gauge;
  const MemoryGauge::Watch watch(gauge);
  const at::Tensor weights = Bytes(5000);
  gauge.BeginStep();
  gauge.Sample(0);
  EXPECT_EQ(gauge.most_bytes(), 0);
  at::Tensor activations = Bytes(300);
  gauge.Sample(0);
  const at::Tensor queued = Bytes(200);
  gauge.Sample(200);
  EXPECT_EQ(gauge.most_bytes(), 500);
  activations.reset();
  gauge.Sample(200);
  EXPECT_EQ(gauge.most_bytes(), 500);
  EXPECT_EQ(gauge.most_activation_bytes(), 300);
  EXPECT_EQ(gauge.most_weight_queue_bytes(), 200);
}

}  // namespace
}  // namespace penstock
