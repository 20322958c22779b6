#include "stage_server/engine/wire_choice.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

constexpr int64_t kCompute = 3'000'000;

// A step of three messages of 1000 bytes, each asked for when it was sent, that
// the rank waited for, for `share` of its compute time in all.
WireSample Waited(double share) {
  WireSample sample;
  sample.plain_bytes = 3000;
  sample.compute_nanos = kCompute;
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t posted = i * kCompute;
    sample.messages.push_back(
        {1000, posted, posted,
         posted + static_cast<int64_t>(share * kCompute / 3)});
  }
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
  EXPECT_FALSE(After({}, 0.14, 1000).compressed);
}

TEST(WireChoiceTest, BetweenTheThresholdsItStaysAsItIs) {
  const WireChoice on = After({}, 2.0, WireChoice::kSteps);
  EXPECT_TRUE(After(on, 0.12, 1000).compressed);
  EXPECT_FALSE(After({}, 0.12, 1000).compressed);
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

TEST(WireChoiceTest, WaitingForASenderThatIsNotReadyDoesNotCount) {
  WireSample sample = Waited(0);
  for (WireMessage& message : sample.messages) {
    message.asked_nanos -= 10 * kCompute;
  }
  EXPECT_EQ(ExposedShare(sample), 0);
  EXPECT_EQ(LinkShare(sample), 0);
}

TEST(WireChoiceTest, WhatTheRankComputedMeanwhileHidTheWay) {
  WireSample sample = Waited(3.0);
  for (WireMessage& message : sample.messages) {
    message.asked_nanos = message.came_nanos;
  }
  EXPECT_EQ(ExposedShare(sample), 0);
  EXPECT_NEAR(LinkShare(sample), 3.0, 1e-9);
}

TEST(WireChoiceTest, TheWayOfAnEmptyMessageDoesNotCount) {
  WireSample sample = Waited(3.0);
  sample.latency_nanos = kCompute;
  EXPECT_EQ(ExposedShare(sample), 0);
  EXPECT_EQ(LinkShare(sample), 0);
  sample.latency_nanos = kCompute / 2;
  EXPECT_NEAR(ExposedShare(sample), 1.5, 1e-9);
}

TEST(WireChoiceTest, CompressedMessagesAreJudgedByTheirPlainSize) {
  WireSample sample = Waited(0.06);
  for (WireMessage& message : sample.messages) message.wire_bytes = 500;
  EXPECT_NEAR(LinkShare(sample), 0.12, 1e-9);
  EXPECT_TRUE(NextChoice({true, WireChoice::kSteps - 1}, sample).compressed);
}

TEST(WireChoiceTest, ALateLookDoesNotMakeTheLinkSlow) {
  WireSample sample = Waited(0.03);
  WireMessage& late = sample.messages[1];
  late.came_nanos += 10 * kCompute;
  late.asked_nanos = late.came_nanos;
  EXPECT_LE(LinkShare(sample), 0.03);
}

TEST(WireChoiceTest, AFirstMessageThatPassesAtOnceDoesNotMakeTheLinkFast) {
  WireSample sample = Waited(3.0);
  sample.messages[0].came_nanos = sample.messages[0].posted_nanos;
  EXPECT_NEAR(LinkShare(sample), 3.0, 1e-9);
  EXPECT_TRUE(NextChoice({true, WireChoice::kSteps - 1}, sample).compressed);
}

TEST(WireChoiceTest, MessagesSentTogetherDoNotCountEachOthersWay) {
  WireSample sample = Waited(0);
  for (int64_t i = 0; i < 3; ++i) {
    sample.messages[i] = {1000, 0, i * kCompute, (i + 1) * kCompute};
  }
  EXPECT_NEAR(LinkShare(sample), 3.0, 1e-9);
}

TEST(WireChoiceTest, AStepWithoutMessagesOrComputeSaysNothing) {
  EXPECT_EQ(ExposedShare({}), 0);
  EXPECT_EQ(LinkShare({}), 0);
  WireSample idle = Waited(2.0);
  idle.compute_nanos = 0;
  EXPECT_EQ(ExposedShare(idle), 0);
  EXPECT_EQ(LinkShare(idle), 0);
  // Neither way.
  EXPECT_TRUE(NextChoice({true, WireChoice::kSteps - 1}, {}).compressed);
}

}  // namespace
}  // namespace penstock
