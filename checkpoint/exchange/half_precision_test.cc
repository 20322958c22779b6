#include "checkpoint/exchange/half_precision.h"

#include <cmath>
#include <cstdint>

#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(HalfPrecisionTest, HalvesHaveTheirValues) {
  EXPECT_EQ(FloatOfHalf(0x0000), 0.0f);
  EXPECT_TRUE(std::signbit(FloatOfHalf(0x8000)));
  EXPECT_EQ(FloatOfHalf(0x3c00), 1.0f);
  EXPECT_EQ(FloatOfHalf(0xc000), -2.0f);
  EXPECT_EQ(FloatOfHalf(0x3555), 0.333251953125f);
  // The greatest, the least normal and the least subnormal.
  EXPECT_EQ(FloatOfHalf(0x7bff), 65504.0f);
  EXPECT_EQ(FloatOfHalf(0x0400), std::ldexp(1.0f, -14));
  EXPECT_EQ(FloatOfHalf(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(FloatOfHalf(0x83ff), -std::ldexp(1023.0f, -24));
  EXPECT_EQ(FloatOfHalf(0x7c00), INFINITY);
  EXPECT_EQ(FloatOfHalf(0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(FloatOfHalf(0x7e00)));
}

TEST(HalfPrecisionTest, HalvesGrowWithTheirBits) {
  for (uint16_t bits = 0; bits < 0x7c00; ++bits) {
    ASSERT_LT(FloatOfHalf(bits), FloatOfHalf(bits + 1)) << bits;
    ASSERT_EQ(FloatOfHalf(bits | 0x8000), -FloatOfHalf(bits)) << bits;
  }
}

TEST(HalfPrecisionTest, BFloatsAreTheUpperHalfOfAFloat) {
  EXPECT_EQ(FloatOfBFloat(0x3f80), 1.0f);
  EXPECT_EQ(FloatOfBFloat(0xc040), -3.0f);
  EXPECT_EQ(FloatOfBFloat(0x7f80), INFINITY);
  EXPECT_TRUE(std::isnan(FloatOfBFloat(0x7fc0)));
}

}  // namespace
}  // namespace penstock
