#include "stage_server/engine/wire_codec.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

struct Way {
  WireType type = WireType::kBfloat16;
  Direction direction = Direction::kForward;
  // Of a normal number, relative; of blocks also of the block's largest.
  float error = 0;
};

at::Tensor ThereAndBack(const at::Tensor& tensor, const Way& way,
                        WireScale* scale) {
  const at::Tensor bytes = Encode(tensor, way.type, way.direction, scale);
  EXPECT_EQ(bytes.numel(), EncodedBytes(way.type, tensor.numel()));
  const at::Tensor back = at::empty_like(tensor, at::MemoryFormat::Contiguous);
  const absl::Status decoded = Decode(bytes, way.direction, back);
  EXPECT_TRUE(decoded.ok()) << decoded;
  return back;
}
at::Tensor ThereAndBack(const at::Tensor& tensor, const Way& way) {
  WireScale scale;
  return ThereAndBack(tensor, way, &scale);
}

float MaxError(const at::Tensor& got, const at::Tensor& want) {
  return got.sub(want).abs().max().item<float>() /
         want.abs().max().item<float>();
}

class WireCodecTest : public ::testing::TestWithParam<Way> {};
// Of types with a scale for each block.
class BlockScaleTest : public WireCodecTest {};

TEST_P(WireCodecTest, RoundsWithinItsBound) {
  const at::Tensor x = at::randn({7, 300}, at::kFloat);
  const at::Tensor back = ThereAndBack(x, GetParam());
  EXPECT_LE(MaxError(back, x), GetParam().error);
  EXPECT_FALSE(at::equal(back, x));
}

TEST_P(BlockScaleTest, ScalesThatDifferByBlocksAreKeptApart) {
  const at::Tensor small = at::randn({kFp8Block}, at::kFloat).mul(1e-20);
  const at::Tensor large = at::randn({kFp8Block}, at::kFloat).mul(1e20);
  const at::Tensor x = at::empty({2 * kFp8Block}, at::kFloat);
  x.narrow(0, 0, kFp8Block).copy_(small);
  x.narrow(0, kFp8Block, kFp8Block).copy_(large);
  const at::Tensor back = ThereAndBack(x, GetParam());
  EXPECT_LE(MaxError(back.narrow(0, 0, kFp8Block), small), GetParam().error);
  EXPECT_LE(MaxError(back.narrow(0, kFp8Block, kFp8Block), large),
            GetParam().error);
}

TEST_P(WireCodecTest, WhatIsNotFiniteStaysSo) {
  std::vector<float> values(3 * kFp8Block, 0.5f);
  values[1] = kNotANumber;
  values[2] = kInfinity;
  values[kFp8Block] = -kInfinity;
  const at::Tensor x = at::tensor(values);
  const at::Tensor back = ThereAndBack(x, GetParam());
  EXPECT_TRUE(at::equal(at::isfinite(back), at::isfinite(x)));
  EXPECT_NEAR(back[0].item<float>(), 0.5f, 0.5f * GetParam().error);
  EXPECT_NEAR(back[2 * kFp8Block].item<float>(), 0.5f, 0.5f * GetParam().error);
}

TEST_P(WireCodecTest, ExtremesStayFiniteAndZerosStayZero) {
  const at::Tensor large = at::full({5}, 3e38f, at::kFloat);
  EXPECT_LE(MaxError(ThereAndBack(large, GetParam()), large), GetParam().error);
  const at::Tensor none = at::zeros({130}, at::kFloat);
  EXPECT_TRUE(at::equal(ThereAndBack(none, GetParam()), none));
  const at::Tensor smallest = at::full({5}, 1e-38f, at::kFloat);
  EXPECT_TRUE(ThereAndBack(smallest, GetParam()).isfinite().all().item<bool>());
}

TEST_P(WireCodecTest, AnEmptyTensorIsAHead) {
  const at::Tensor none = at::empty({0, 4}, at::kFloat);
  EXPECT_EQ(EncodedBytes(GetParam().type, 0), kWireHeadBytes);
  EXPECT_EQ(ThereAndBack(none, GetParam()).numel(), 0);
}

TEST_P(WireCodecTest, StridesDoNotMatter) {
  const at::Tensor x = at::randn({40, 30}, at::kFloat);
  EXPECT_TRUE(at::equal(ThereAndBack(x.t(), GetParam()),
                        ThereAndBack(x.t().contiguous(), GetParam())));
}

TEST_P(WireCodecTest, EqualTensorsHaveEqualBytes) {
  const at::Tensor x = at::randn({333}, at::kFloat);
  WireScale one, two;
  EXPECT_TRUE(at::equal(
      Encode(x, GetParam().type, GetParam().direction, &one),
      Encode(x.clone(), GetParam().type, GetParam().direction, &two)));
}

TEST_P(WireCodecTest, AnotherSizeIsRefused) {
  WireScale scale;
  const at::Tensor bytes = Encode(at::zeros({16}, at::kFloat), GetParam().type,
                                  GetParam().direction, &scale);
  const absl::Status longer =
      Decode(bytes, GetParam().direction, at::empty({17}, at::kFloat));
  EXPECT_EQ(longer.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(longer.message(), HasSubstr("16 numbers"));
  EXPECT_EQ(Decode(bytes.narrow(0, 0, 8), GetParam().direction,
                   at::empty({16}, at::kFloat))
                .code(),
            absl::StatusCode::kDataLoss);
}

constexpr Way kFp8Forward = {WireType::kFp8Block, Direction::kForward, 0.0626f};
constexpr Way kFp8Backward = {WireType::kFp8Block, Direction::kBackward,
                              0.126f};

INSTANTIATE_TEST_SUITE_P(
    Types, WireCodecTest,
    ::testing::Values(Way{WireType::kBfloat16, Direction::kForward, 0.004f},
                      Way{WireType::kFloat16, Direction::kForward, 0.0005f},
                      Way{WireType::kFloat16, Direction::kBackward, 0.0005f},
                      kFp8Forward, kFp8Backward));
INSTANTIATE_TEST_SUITE_P(Blocks, BlockScaleTest,
                         ::testing::Values(kFp8Forward, kFp8Backward));

TEST(WireTypeTest, OnlyWhatGetsSmallerIsEncoded) {
  for (const WireType type :
       {WireType::kBfloat16, WireType::kFloat16, WireType::kFp8Block}) {
    EXPECT_TRUE(Shrinks(type, at::kFloat));
    EXPECT_FALSE(Shrinks(type, at::kLong));
    EXPECT_EQ(Shrinks(type, at::kBFloat16), type == WireType::kFp8Block);
  }
  EXPECT_FALSE(Shrinks(WireType::kPlain, at::kFloat));
}

TEST(WireTypeTest, BytesAreHalvedAndQuartered) {
  constexpr int64_t kNumbers = 1 << 20;
  EXPECT_EQ(EncodedBytes(WireType::kBfloat16, kNumbers),
            2 * kNumbers + kWireHeadBytes);
  EXPECT_EQ(EncodedBytes(WireType::kFp8Block, kNumbers),
            kNumbers + kNumbers / kFp8Block * 4 + kWireHeadBytes);
}

TEST(WireTypeTest, SixteenBitsGoThroughEightBitBlocks) {
  const at::Tensor x = at::randn({200}, at::kBFloat16);
  const at::Tensor back =
      ThereAndBack(x, {WireType::kFp8Block, Direction::kForward, 0});
  EXPECT_EQ(back.scalar_type(), at::kBFloat16);
  EXPECT_LE(MaxError(back.to(at::kFloat), x.to(at::kFloat)), 0.07f);
}

TEST(WireScaleTest, GoesDownAtOnceWhereANumberWouldNotFit) {
  const WireScale scale = NextScale({1024, 5}, {/*largest=*/1000});
  EXPECT_EQ(scale.scale, 32.0f);
  EXPECT_EQ(scale.unchanged, 0);
  EXPECT_EQ(NextScale({64, 5}, {1000}).scale, 64.0f);
}

TEST(WireScaleTest, DoublesAfterAWindowInWhichItCouldHave) {
  WireScale scale;
  for (int i = 0; i < WireScale::kGrowthWindow; ++i) {
    scale = NextScale(scale, {1.0f});
    EXPECT_EQ(scale.scale, 1.0f);
  }
  scale = NextScale(scale, {1.0f});
  EXPECT_EQ(scale.scale, 2.0f);
  EXPECT_EQ(scale.unchanged, 0);
}

TEST(WireScaleTest, DoesNotGrowWhereTheLargestWouldNotFitTwice) {
  EXPECT_EQ(NextScale({1, 1000}, {20000.0f}).scale, 1.0f);
  // Nothing says how far zeros could be scaled.
  EXPECT_EQ(NextScale({1, 1000}, {0.0f}).scale, 1.0f);
}

TEST(WireScaleTest, SmallNumbersThatWouldVanishRaiseItAtOnce) {
  WireScale scale;
  const at::Tensor x = at::randn({500}, at::kFloat).mul(1e-9);
  const at::Tensor back =
      ThereAndBack(x, {WireType::kFloat16, Direction::kBackward, 0}, &scale);
  EXPECT_GT(scale.scale, 1e9f);
  EXPECT_LE(MaxError(back, x), 0.0005f);
}

TEST(WireScaleTest, ARangeThatNoScaleHoldsGoesAsBfloat16) {
  at::Tensor x = at::full({500}, 1e-9f, at::kFloat);
  x[0] = 1e9f;
  const at::Tensor back =
      ThereAndBack(x, {WireType::kFloat16, Direction::kBackward, 0});
  EXPECT_NEAR(back[1].item<float>(), 1e-9f, 4e-12f);
  EXPECT_NEAR(back[0].item<float>(), 1e9f, 4e6f);
}

TEST(WireScaleTest, TheRangeLeavesOutWhatIsNotFinite) {
  EXPECT_EQ(RangeOf(at::tensor({1.0f, kInfinity, -3.0f, kNotANumber})).largest,
            3.0f);
  EXPECT_EQ(RangeOf(at::empty({0}, at::kFloat)).largest, 0.0f);
}

}  // namespace
}  // namespace penstock
