#include "stage_server/engine/loss_scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace penstock {
namespace {

LossScaleSpec Spec() {
  LossScaleSpec spec;
  spec.set_initial(1024);
  spec.set_growth_interval(3);
  spec.set_growth(2);
  spec.set_backoff(0.25);
  spec.set_minimum(8);
  return spec;
}

LossScale After(LossScale scale, int good_steps) {
  for (int i = 0; i < good_steps; ++i) {
    scale = NextLossScale(Spec(), scale, /*overflowed=*/false);
  }
  return scale;
}

TEST(LossScaleTest, GrowsAfterAnIntervalOfGoodSteps) {
  const LossScale first = FirstLossScale(Spec());
  EXPECT_EQ(first, (LossScale{1024, 0}));
  EXPECT_EQ(After(first, 2), (LossScale{1024, 2}));
  EXPECT_EQ(After(first, 3), (LossScale{2048, 0}));
  EXPECT_EQ(After(first, 6), (LossScale{4096, 0}));
}

TEST(LossScaleTest, BacksOffAtOnceAndBeginsToCountAgain) {
  LossScale scale = After(FirstLossScale(Spec()), 2);
  scale = NextLossScale(Spec(), scale, /*overflowed=*/true);
  EXPECT_EQ(scale, (LossScale{256, 0}));
  EXPECT_EQ(After(scale, 2), (LossScale{256, 2}));
  EXPECT_EQ(After(scale, 3), (LossScale{512, 0}));
}

TEST(LossScaleTest, NeverGoesBelowTheMinimum) {
  LossScale scale{20, 0};
  for (int i = 0; i < 5; ++i) {
    scale = NextLossScale(Spec(), scale, /*overflowed=*/true);
    EXPECT_EQ(scale.scale, 8);
  }
}

struct BadSpec {
  const char* says;
  void (*change)(LossScaleSpec&);
};

TEST(LossScaleTest, NumbersOutOfRangeAreNamed) {
  EXPECT_TRUE(CheckLossScale(Spec()).ok());
  const BadSpec cases[] = {
      {"loss_scale.minimum must be more than 0, got 0",
       [](LossScaleSpec& spec) { spec.set_minimum(0); }},
      {"loss_scale.initial must be at least loss_scale.minimum 8, got 4",
       [](LossScaleSpec& spec) { spec.set_initial(4); }},
      {"loss_scale.initial must be",
       [](LossScaleSpec& spec) { spec.set_initial(std::nan("")); }},
      {"loss_scale.growth_interval must be at least 1, got 0",
       [](LossScaleSpec& spec) { spec.set_growth_interval(0); }},
      {"loss_scale.growth must be at least 1, got 0.5",
       [](LossScaleSpec& spec) { spec.set_growth(0.5); }},
      {"loss_scale.backoff must be more than 0 and less than 1, got 1",
       [](LossScaleSpec& spec) { spec.set_backoff(1); }},
  };
  for (const BadSpec& bad : cases) {
    LossScaleSpec spec = Spec();
    bad.change(spec);
    const absl::Status status = CheckLossScale(spec);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(std::string(status.message()).find(bad.says), std::string::npos)
        << status;
  }
}

}  // namespace
}  // namespace penstock
