#include "stage_server/engine/step_losses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock {
namespace {

using ::testing::ElementsAre;

TEST(StepLossesTest, StepsInFlightAtOnceAreKeptApart) {
  StepLosses losses(2);
  losses.Record(4, 1, 3.0f);
  losses.Record(5, 0, 9.0f);
  losses.Record(4, 0, 1.0f);
  EXPECT_EQ(losses.Mean(4), 2.0);
  EXPECT_THAT(losses.Of(5), ElementsAre(9.0f, std::nullopt));
  EXPECT_EQ(losses.Mean(5), 4.5);
}

TEST(StepLossesTest, WhatIsForgottenIsGoneAndLaterStepsStay) {
  StepLosses losses(1);
  losses.Record(1, 0, 3.0f);
  losses.Record(2, 0, 4.0f);
  losses.ForgetBefore(2);
  EXPECT_THAT(losses.Of(1), ElementsAre(std::nullopt));
  EXPECT_EQ(losses.Mean(2), 4.0);
}

}  // namespace
}  // namespace penstock
