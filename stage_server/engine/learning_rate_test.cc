#include "stage_server/engine/learning_rate.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock {
namespace {

LearningRateSchedule Make(const std::string& kind, int64_t warmup = 0,
                          int64_t decay = 0) {
  LearningRateSchedule schedule;
  schedule.set_kind(kind);
  schedule.set_warmup_steps(warmup);
  schedule.set_decay_steps(decay);
  schedule.set_final_fraction(0.1);
  schedule.set_power(2);
  schedule.set_step_size(10);
  schedule.set_gamma(0.5);
  return schedule;
}

TEST(LearningRateTest, ConstantStaysAtTheBase) {
  EXPECT_EQ(LearningRate(Make("constant"), 0.3, 100, 0), 0.3);
  EXPECT_EQ(LearningRate(Make("constant"), 0.3, 100, 99), 0.3);
}

TEST(LearningRateTest, WarmUpReachesTheBaseWithItsLastUpdate) {
  const LearningRateSchedule schedule = Make("cosine", /*warmup=*/4);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 0), 0.25);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 2), 0.75);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 3), 1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 4), 1);
}

TEST(LearningRateTest, StepDropsAfterEveryStepSizeUpdates) {
  EXPECT_EQ(LearningRate(Make("step"), 1, 100, 9), 1);
  EXPECT_EQ(LearningRate(Make("step"), 1, 100, 10), 0.5);
  EXPECT_EQ(LearningRate(Make("step"), 1, 100, 20), 0.25);
  EXPECT_EQ(LearningRate(Make("step", /*warmup=*/5), 1, 100, 14), 1);
  EXPECT_EQ(LearningRate(Make("step", /*warmup=*/5), 1, 100, 15), 0.5);
}

TEST(LearningRateTest, CosineIsHalfWayInTheMiddleAndStaysAtItsEnd) {
  const LearningRateSchedule schedule = Make("cosine", 0, /*decay=*/50);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 25), 0.55);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 50), 0.1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 99), 0.1);
}

TEST(LearningRateTest, DecayEndsWithTheJobUnlessSaid) {
  EXPECT_DOUBLE_EQ(LearningRate(Make("cosine"), 1, 100, 50), 0.55);
}

TEST(LearningRateTest, PolynomialFallsByItsPower) {
  const LearningRateSchedule schedule =
      Make("polynomial", /*warmup=*/10, /*decay=*/30);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 20), 0.1 + 0.9 * 0.25);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 30), 0.1);
}

TEST(LearningRateTest, WarmUpLongerThanTheDecayGoesToTheEndAtOnce) {
  const LearningRateSchedule schedule =
      Make("cosine", /*warmup=*/20, /*decay=*/10);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 19), 1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 100, 20), 0.1);
}

TEST(CheckLearningRateTest, NamesWhatIsWrong) {
  EXPECT_TRUE(CheckLearningRate(Make("polynomial", 3, 9)).ok());
  EXPECT_EQ(CheckLearningRate(Make("linear")).message(),
            "learning rate schedule \"linear\", want constant, step, cosine "
            "or polynomial");
  EXPECT_FALSE(CheckLearningRate(Make("cosine", -1)).ok());
  LearningRateSchedule zero = Make("step");
  zero.set_step_size(0);
  EXPECT_EQ(CheckLearningRate(zero).message(),
            "learning rate schedule: step_size is 0, want at least 1");
}

}  // namespace
}  // namespace penstock
