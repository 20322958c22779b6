#include "models/layers/stateless_fill.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace penstock {
namespace {

std::vector<bool> KeepMask(uint64_t key, double drop, size_t size) {
  const auto mask = std::make_unique<bool[]>(size);
  FillKeepMask(key, drop, absl::MakeSpan(mask.get(), size));
  return std::vector<bool>(mask.get(), mask.get() + size);
}

std::vector<float> Normal(uint64_t key, size_t size) {
  std::vector<float> values(size);
  FillNormal(key, 1.0, absl::MakeSpan(values));
  return values;
}

TEST(FillNormalTest, HasMeanZeroAndTheDeviation) {
  std::vector<float> values(100001);
  FillNormal(/*key=*/7, /*deviation=*/0.5, absl::MakeSpan(values));
  double sum = 0;
  double squares = 0;
  int beyond_two_deviations = 0;
  for (const float value : values) {
    sum += value;
    squares += value * value;
    beyond_two_deviations += std::abs(value) > 1.0;
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 0.005);
  EXPECT_NEAR(std::sqrt(squares / n), 0.5, 0.005);
  EXPECT_NEAR(beyond_two_deviations / n, 0.0455, 0.003);
}

TEST(FillNormalTest, NeighboursAreNotCorrelated) {
  const std::vector<float> values = Normal(3, 100000);
  double product = 0;
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    product += values[i] * values[i + 1];
  }
  EXPECT_NEAR(product / static_cast<double>(values.size()), 0, 0.01);
}

TEST(FillNormalTest, AnElementDoesNotDependOnTheSize) {
  const std::vector<float> longer = Normal(5, 100);
  const std::vector<float> shorter = Normal(5, 33);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}

TEST(FillNormalTest, AnotherKeyGivesOtherNumbers) {
  EXPECT_NE(Normal(5, 8), Normal(6, 8));
}

TEST(FillUniformTest, FillsTheRange) {
  std::vector<float> values(10001);
  FillUniform(/*key=*/7, /*bound=*/2.0, absl::MakeSpan(values));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*low, -2.0f);
  EXPECT_LT(*low, -1.99f);
  EXPECT_LE(*high, 2.0f);
  EXPECT_GT(*high, 1.99f);
}

TEST(FillKeepMaskTest, DropsTheFraction) {
  for (const double drop : {0.0, 0.1, 0.5, 0.9}) {
    const std::vector<bool> mask = KeepMask(11, drop, 100001);
    const auto kept = std::count(mask.begin(), mask.end(), true);
    EXPECT_NEAR(static_cast<double>(kept) / 100001, 1 - drop, 0.006) << drop;
  }
}

TEST(FillKeepMaskTest, EqualKeysGiveEqualMasks) {
  EXPECT_EQ(KeepMask(1, 0.3, 1001), KeepMask(1, 0.3, 1001));
  EXPECT_NE(KeepMask(1, 0.3, 1001), KeepMask(2, 0.3, 1001));
}

}  // namespace
}  // namespace penstock
