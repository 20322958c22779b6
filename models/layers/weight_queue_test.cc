#include "models/layers/weight_queue.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "gtest/gtest.h"

namespace penstock {
namespace {

at::Tensor Filled(float value) { return at::full({2, 3}, value, at::kFloat); }

TEST(GradientSumTest, TheFirstOfAStepWritesAndTheOthersAdd) {
  const at::Tensor memory = Filled(99);
  GradientSum sum(memory);
  for (int step = 0; step < 2; ++step) {
    sum.BeginStep();
    sum.Add(Filled(1));
    EXPECT_TRUE(at::equal(memory, Filled(1)));
    sum.Add(Filled(2));
    EXPECT_TRUE(at::equal(memory, Filled(3)));
  }
}

TEST(GradientSumTest, AStepThatAddsNothingIsZero) {
  const at::Tensor memory = Filled(99);
  GradientSum sum(memory);
  sum.Finish();
  EXPECT_TRUE(at::equal(memory, Filled(0)));
  sum.BeginStep();
  sum.Add(Filled(1));
  sum.Finish();
  EXPECT_TRUE(at::equal(memory, Filled(1)));
}

TEST(GradientSumTest, AProductHasTheBitsOfItsSum) {
  const at::Tensor left = at::randn({33, 70}).t();
  const at::Tensor right = at::randn({33, 65});
  const at::Tensor want = at::zeros({70, 65});
  GradientSum plain(want);
  const at::Tensor got = at::zeros({70, 65});
  GradientSum product(got);
  for (int i = 0; i < 3; ++i) {
    plain.Add(left.mm(right));
    product.AddProduct(left, right);
    EXPECT_TRUE(at::equal(got, want)) << i;
  }
}

TEST(GradientSumTest, Bfloat16ProductsAreAddedInFloat32) {
  const at::Tensor left = at::full({1, 1}, 1.0f, at::kBFloat16);
  const at::Tensor memory = at::zeros({1, 1});
  GradientSum sum(memory);
  sum.Add(at::full({1, 1}, 256.0f, at::kBFloat16));
  sum.AddProduct(left, left);
  // A bfloat16 has no 257.
  EXPECT_EQ(memory.item<float>(), 257.0f);
}

TEST(WeightQueueTest, RunsInOrderAndFreesEachEntryAtOnce) {
  WeightQueue queue;
  std::vector<int> ran;
  const auto held = std::make_shared<int>(0);
  queue.Push([&ran, held] { ran.push_back(1); }, {});
  queue.Push(
      [&ran, watched = std::weak_ptr<int>(held)] {
        // The test itself holds one.
        EXPECT_EQ(watched.use_count(), 1);
        ran.push_back(2);
      },
      {});
  EXPECT_EQ(queue.size(), 2u);
  queue.Run();
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
  EXPECT_EQ(queue.size(), 0u);
  queue.Run();
  EXPECT_EQ(ran.size(), 2u);
}

TEST(WeightQueueTest, SharedMemoryIsHeldOnce) {
  WeightQueue queue;
  EXPECT_EQ(queue.held_bytes(), 0);
  const at::Tensor left = at::zeros({4, 8}, at::kFloat);
  const at::Tensor right = at::zeros({8}, at::kBFloat16);
  const at::Tensor none;
  queue.Push([left, right] {}, {&left, &right, &none});
  // A view keeps all of what it is a part of.
  const at::Tensor row = left.select(0, 1);
  queue.Push([row] {}, {&row});
  EXPECT_EQ(queue.held_bytes(), 4 * 8 * 4 + 8 * 2);
  queue.Run();
  EXPECT_EQ(queue.held_bytes(), 0);
}

TEST(WeightQueueTest, AnExceptionPassesThrough) {
  WeightQueue queue;
  queue.Push([] { throw std::runtime_error("no memory"); }, {});
  EXPECT_THROW(queue.Run(), std::runtime_error);
}

}  // namespace
}  // namespace penstock
