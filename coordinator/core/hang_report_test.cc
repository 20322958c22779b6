#include "coordinator/core/hang_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Schedule Parsed(const std::string& lists) {
  const auto schedule = ParseSchedule(
      "penstock-schedule 1\nname by_hand\nmicrobatches 2\n"
      "placement r0 r1 r2\nedge activation x 0>1\nedge activation y 1>2\n" +
      lists);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

Schedule Chain() {
  return Parsed(
      "r0: 0F0 0SF0[x>r1] 0RB0[x<r1] 0B0 N\n"
      "r1: 1RF0[x<r0] 1F0 1SF0[y>r2] 1RB0[y<r2] 1B0 1SB0[x>r0] N\n"
      "r2: 2RF0[y<r1] 2F0 2B0 2SB0[y>r1] N\n");
}

// A rank that waits at the position of step 7.
RankEvidence WaitsAt(int position) {
  RankEvidence evidence;
  evidence.at.emplace().set_step(7);
  evidence.at->set_position(position);
  StepTrace* trace = evidence.at->mutable_trace();
  for (int i = 0; i < position; ++i) {
    trace->add_issued(i * 1'000'000'000L);
    trace->add_started(i * 1'000'000'000L);
    trace->add_ended((i + 1) * 1'000'000'000L);
  }
  trace->add_issued(position * 1'000'000'000L);
  return evidence;
}

// A rank that was told to leave before it began the action there.
RankEvidence WorkedBefore(int position) {
  RankEvidence evidence = WaitsAt(position);
  evidence.at->mutable_trace()->mutable_issued()->RemoveLast();
  return evidence;
}

RankEvidence Silent() {
  RankEvidence evidence;
  evidence.silence = "has not been heard for 3s";
  return evidence;
}

TEST(HangReportTest, FollowsTheWaitsToTheRankThatIsSilent) {
  std::vector<RankEvidence> ranks = {WaitsAt(2), WaitsAt(3), Silent()};
  ranks[1].place = "stage 1 on node-b";
  ranks[2].place = "stage 2 on node-c";
  const HangReport report = ExplainHang(Chain(), ranks, 0);
  EXPECT_EQ(report.cause, HangCause::kSilentRank);
  EXPECT_THAT(report.chain, ElementsAre(0, 1, 2));
  EXPECT_EQ(report.text,
            "rank 0 waits at action 2 of step 7, 0RB0[x<r1], for action 5 of "
            "rank 1, 1SB0[x>r0]; rank 1 (stage 1 on node-b) waits at action 3 "
            "of step 7, 1RB0[y<r2], for action 3 of rank 2, 2SB0[y>r1]; rank 2 "
            "(stage 2 on node-c) has not been heard for 3s");
}

TEST(HangReportTest, ListsThatWaitForEachOtherAreACycle) {
  const Schedule schedule = Parsed(
      "r0: 0F0 0RB0[x<r1] 0B0 0SF0[x>r1]\n"
      "r1: 1RF0[x<r0] 1F0 1B0 1SB0[x>r0]\nr2:\n");
  const HangReport report =
      ExplainHang(schedule, {WaitsAt(1), WaitsAt(0), RankEvidence()}, 1);
  EXPECT_EQ(report.cause, HangCause::kWaitCycle);
  EXPECT_THAT(report.chain, ElementsAre(1, 0, 1));
  EXPECT_THAT(report.text,
              HasSubstr("each waits for the next: rank 1 > rank 0 > rank 1"));
}

TEST(HangReportTest, AReceiveThatNobodySendsIsNamed) {
  const Schedule schedule = Parsed("r0: 0F0 0RB0[x<r1]\nr1: 1F0\nr2:\n");
  const HangReport report =
      ExplainHang(schedule, {WaitsAt(1), RankEvidence(), RankEvidence()}, 0);
  EXPECT_THAT(report.text, HasSubstr("0RB0[x<r1], which rank 1 never sends"));
}

TEST(HangReportTest, ARankAtWorkIsSlow) {
  const HangReport report =
      ExplainHang(Chain(), {WaitsAt(2), WorkedBefore(2), WaitsAt(0)}, 0);
  EXPECT_EQ(report.cause, HangCause::kSlowAction);
  EXPECT_THAT(report.chain, ElementsAre(0, 1));
  EXPECT_THAT(report.text, HasSubstr("action 1, 1F0, took 1 s"));
}

TEST(HangReportTest, ARankThatIsHeardButSaysNothingMayBeSlow) {
  RankEvidence busy;
  busy.finished_step = 6;
  const HangReport report =
      ExplainHang(Chain(), {WaitsAt(2), busy, WaitsAt(0)}, 0);
  EXPECT_EQ(report.cause, HangCause::kUnknown);
  EXPECT_THAT(report.text, HasSubstr("within a long action; the last step that "
                                     "it finished is 6"));
}

TEST(HangReportTest, WhatHasBeenSentIsOnItsWayOrLost) {
  const HangReport report =
      ExplainHang(Chain(), {WaitsAt(2), WaitsAt(6), WaitsAt(4)}, 0);
  EXPECT_EQ(report.cause, HangCause::kLostMessage);
  EXPECT_THAT(report.text, HasSubstr("rank 1 has done that"));
}

TEST(HangReportTest, AtTheNormTheRankThatHasNotComeIsFollowed) {
  const HangReport report =
      ExplainHang(Chain(), {WaitsAt(4), WaitsAt(6), WorkedBefore(2)}, 0);
  EXPECT_THAT(report.chain, ElementsAre(0, 2));
  EXPECT_EQ(report.cause, HangCause::kSlowAction);
  EXPECT_THAT(report.text, HasSubstr("step 7, N, for rank 2; rank 2 was at "
                                     "work"));
  EXPECT_EQ(ExplainHang(Chain(), {WaitsAt(4), WaitsAt(6), WaitsAt(4)}, 1).cause,
            HangCause::kLostMessage);
}

TEST(HangReportTest, OfSeveralAtTheNormTheSilentOneComesFirst) {
  const HangReport report =
      ExplainHang(Chain(), {WaitsAt(4), WorkedBefore(2), Silent()}, 0);
  EXPECT_THAT(report.chain, ElementsAre(0, 2));
  EXPECT_EQ(report.cause, HangCause::kSilentRank);
  EXPECT_THAT(report.text, HasSubstr("for 2 ranks, one is rank 2"));
}

TEST(HangReportTest, ATiedWeightsGradientWaitsForTheHoldersOfItsStage) {
  const auto schedule = ParseSchedule(
      "penstock-schedule 1\nname by_hand\nmicrobatches 2\n"
      "placement r0+r1 r2\nedge tied_weight w 1>0\n"
      "r0: 0F0 0B0 0G 0SB*[w>r2] N\nr1: 0F1 0B1 0G N\nr2: 1RB*[w<r0] N\n");
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  const HangReport report =
      ExplainHang(*schedule, {WaitsAt(3), Silent(), WaitsAt(0)}, 2);
  EXPECT_THAT(report.chain, ElementsAre(2, 0, 1));
  EXPECT_EQ(report.cause, HangCause::kSilentRank);
}

TEST(HangReportTest, ASendAtTheEndOfAStepWaitsForItsReceive) {
  RankEvidence sending = WaitsAt(5);
  sending.at->set_position(1);
  const HangReport report =
      ExplainHang(Chain(), {sending, Silent(), WaitsAt(0)}, 0);
  EXPECT_THAT(report.chain, ElementsAre(0, 1));
  EXPECT_THAT(report.text,
              HasSubstr("action 1 of step 7, 0SF0[x>r1], for action 0 of rank "
                        "1, 1RF0[x<r0]; rank 1 has not been heard"));
  // What else it was to send, it has sent.
  EXPECT_EQ(ExplainHang(Chain(), {sending, WaitsAt(0), WaitsAt(0)}, 1).cause,
            HangCause::kLostMessage);
}

TEST(HangReportTest, EvidenceOutsideTheListsCountsAsNone) {
  RankEvidence odd = WaitsAt(2);
  odd.at->set_position(99);
  EXPECT_EQ(ExplainHang(Chain(), {odd, WaitsAt(0), WaitsAt(0)}, 0).cause,
            HangCause::kUnknown);
}

}  // namespace
}  // namespace penstock
