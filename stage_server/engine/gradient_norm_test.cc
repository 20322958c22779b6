#include "stage_server/engine/gradient_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace penstock {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Ramp(size_t size) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = std::sin(0.37f * i);
  return values;
}

TEST(SumOfSquaresTest, AddsSquares) {
  EXPECT_EQ(SumOfSquares({}), 0);
  EXPECT_EQ(SumOfSquares({3, 4}), 25);
  const std::vector<float> ones(1003, 1.0f);
  EXPECT_EQ(SumOfSquares(ones), 1003);
}

TEST(SumOfSquaresTest, DoesNotDependOnWhereTheValuesAre) {
  for (const size_t size : {1, 7, 8, 9, 63, 100, 1001}) {
    const std::vector<float> values = Ramp(size);
    const double want = SumOfSquares(values);
    for (size_t shift = 1; shift < 16; ++shift) {
      std::vector<float> moved(shift, 0.0f);
      moved.insert(moved.end(), values.begin(), values.end());
      EXPECT_EQ(SumOfSquares(absl::MakeSpan(moved).subspan(shift)), want);
    }
  }
}

TEST(SumOfSquaresTest, IsFiniteForTheLargestFloats) {
  const std::vector<float> values(1000, std::numeric_limits<float>::max());
  EXPECT_TRUE(std::isfinite(SumOfSquares(values)));
}

TEST(SumOfSquaresTest, OneValueThatIsNotFiniteShows) {
  std::vector<float> values = Ramp(1001);
  values[500] = kInfinity;
  EXPECT_FALSE(std::isfinite(SumOfSquares(values)));
  values[500] = std::nanf("");
  EXPECT_FALSE(std::isfinite(SumOfSquares(values)));
}

TEST(CombineSquaresTest, OrderOfThePartsDoesNotMatter) {
  // In another order these round to another sum.
  const std::vector<LayerSquares> parts = {{0, 1e16}, {1, 1.0}, {2, 1.0}};
  const std::vector<LayerSquares> turned = {{2, 1.0}, {1, 1.0}, {0, 1e16}};
  EXPECT_EQ(CombineSquares(parts).norm, CombineSquares(turned).norm);
  EXPECT_EQ(CombineSquares(parts).broken_layer, std::nullopt);
}

TEST(CombineSquaresTest, NamesTheFirstLayerThatIsNotFinite) {
  const GlobalNorm norm = CombineSquares(
      std::vector<LayerSquares>{{7, std::nan("")}, {0, 1.0}, {3, kInfinity}});
  EXPECT_EQ(norm.broken_layer, 3);
  EXPECT_FALSE(std::isfinite(norm.norm));
}

TEST(ClipScaleTest, ScalesOnlyWhatIsLarger) {
  EXPECT_EQ(ClipScale(5, 0), 1.0f);
  EXPECT_EQ(ClipScale(0.5, 1), 1.0f);
  EXPECT_NEAR(ClipScale(4, 1), 0.25f, 1e-6);
  EXPECT_EQ(ClipScale(0, 1), 1.0f);
}

}  // namespace
}  // namespace penstock
