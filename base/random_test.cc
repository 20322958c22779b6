#include "base/random.h"

#include <set>

#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(RandomKeyTest, OrderAndSeedMatter) {
  EXPECT_NE(RandomKey(1, {2, 3}), RandomKey(1, {3, 2}));
  EXPECT_NE(RandomKey(1, {2, 3}), RandomKey(2, {2, 3}));
  EXPECT_EQ(RandomKey(1, {2, 3}), RandomKey(1, {2, 3}));
}

class StatelessPermutationTest : public ::testing::TestWithParam<int> {};

TEST_P(StatelessPermutationTest, HitsEveryValueOnce) {
  const uint64_t size = GetParam();
  const StatelessPermutation permutation(/*key=*/7, size);
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < size; ++i) {
    const uint64_t value = permutation(i);
    EXPECT_LT(value, size);
    seen.insert(value);
  }
  EXPECT_EQ(seen.size(), size);
}

INSTANTIATE_TEST_SUITE_P(Sizes, StatelessPermutationTest,
                         ::testing::Values(1, 2, 3, 4, 5, 16, 17, 1000, 4097));

TEST(StatelessPermutationTest, KeysGiveDifferentOrders) {
  const StatelessPermutation a(1, 1000);
  const StatelessPermutation b(2, 1000);
  int equal = 0;
  for (int i = 0; i < 1000; ++i) equal += a(i) == b(i);
  EXPECT_LT(equal, 20);
}

}  // namespace
}  // namespace penstock
