#include "stage_server/engine/wire_choice.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

// A step of three messages of 1000 bytes that the rank waited `share` of its
// compute time for.
WireSample Waited(double share) {
  constexpr int64_t kCompute = 3'000'000;
  WireSample sample;
  sample.plain_bytes = 3000;
  sample.compute_nanos = kCompute;
  sample.exposed_nanos_per_byte.assign(3, share * kCompute / 3000);
  return sample;
}

WireChoice After(WireChoice choice, double share, int steps) {
  for (int i = 0; i < steps; ++i) choice = NextChoice(choice, Waited(share));
  return choice;
}

TEST(WireChoiceTest, ALinkThatHoldsTheRankUpTurnsItOnAfterSomeSteps) {
  EXPECT_FALSE(After({}, 2.0, WireChoice::kSteps - 1).compressed);
  EXPECT_TRUE(After({}, 2.0, WireChoice::kSteps).compressed);
}

TEST(WireChoiceTest, AFastLinkNeverTurnsItOn) {
  EXPECT_FALSE(After({}, 0.05, 1000).compressed);
  EXPECT_FALSE(After({}, 0.45, 1000).compressed);
}

TEST(WireChoiceTest, BetweenTheThresholdsItStaysAsItIs) {
  const WireChoice on = After({}, 2.0, WireChoice::kSteps);
  EXPECT_TRUE(After(on, 0.3, 1000).compressed);
  EXPECT_FALSE(After({}, 0.3, 1000).compressed);
  EXPECT_FALSE(After(on, 0.05, WireChoice::kSteps).compressed);
}

TEST(WireChoiceTest, OneOddStepChangesNothing) {
  WireChoice choice;
  for (int i = 0; i < 100; ++i) {
    choice = After(choice, 5.0, WireChoice::kSteps - 1);
    choice = After(choice, 0.0, 1);
  }
  EXPECT_FALSE(choice.compressed);
}

TEST(WireChoiceTest, OneLateReceiverDoesNotCount) {
  WireSample sample = Waited(0.05);
  sample.exposed_nanos_per_byte[1] *= 1000;
  EXPECT_NEAR(ExposedShare(sample), 0.05, 1e-9);
}

TEST(WireChoiceTest, CompressedMessagesAreJudgedByTheirPlainSize) {
  WireSample sample = Waited(2.0);
  EXPECT_NEAR(ExposedShare(sample), 2.0, 1e-9);
}

TEST(WireChoiceTest, AStepWithoutMessagesOrComputeSaysNothing) {
  EXPECT_EQ(ExposedShare({}), 0);
  WireSample idle = Waited(2.0);
  idle.compute_nanos = 0;
  EXPECT_EQ(ExposedShare(idle), 0);
}

}  // namespace
}  // namespace penstock
