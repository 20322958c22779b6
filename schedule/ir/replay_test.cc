#include "schedule/ir/replay.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

// A schedule with two stages on two ranks and an activation between them.
Schedule TwoRanks(const std::string& lists) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(absl::StrCat(
      "penstock-schedule 1\nname x\nmicrobatches 2\nplacement r0 r1\n"
      "edge activation h 0>1\n",
      lists));
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

TEST(ReplayTest, WithoutCommunicationEdgesAloneDecideWhoWaits) {
  const ReplayResult result =
      Replay(TwoRanks("r0: 0F0 0F1 0B0 0B1\nr1: 1F0 1F1 1B0 1B1\n"), {});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 1, 4, 5), ElementsAre(1, 2, 3, 4)));
  EXPECT_EQ(result.makespan, 6);
  EXPECT_TRUE(result.complete);
}

TEST(ReplayTest, CostsDelayWhatWaits) {
  const ReplayResult result = Replay(
      TwoRanks("r0: 0F0 0B0\nr1: 1F0 1B0\n"),
      {.cost = [](const Action& a) { return a.op == Op::kForward ? 3 : 5; }});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 11), ElementsAre(3, 6)));
  EXPECT_EQ(result.makespan, 16);
}

TEST(ReplayTest, ReceiveBlocksUntilItsSend) {
  const ReplayResult result =
      Replay(TwoRanks("r0: 0F0 0F1 0SF0[h>r1]\nr1: 1RF0[h<r0] 1F0\n"), {});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 4)));
}

TEST(ReplayTest, SendNeverBlocks) {
  const ReplayResult result = Replay(
      TwoRanks("r0: 0SF0[h>r1] 0SF1[h>r1] 0F0\nr1: 1RF0[h<r0] 1RF1[h<r0]\n"),
      {});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(1, 2)));
}

TEST(ReplayTest, NormWaitsForEveryRank) {
  const ReplayResult result =
      Replay(TwoRanks("r0: 0F0 0F1 N 0U\nr1: N 1U\n"), {});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(2, 3)));
}

TEST(ReplayTest, WhatIsStuckNeverBegins) {
  const ReplayResult result =
      Replay(TwoRanks("r0: 0F0\nr1: N 1RF0[h<r0]\n"), {});
  EXPECT_THAT(result.starts, ElementsAre(ElementsAre(0), ElementsAre(-1, -1)));
  EXPECT_EQ(result.makespan, 1);
  EXPECT_FALSE(result.complete);
}

TEST(ReplayTest, ForwardOfTwoMakesBothAtItsEnd) {
  const ReplayResult result =
      Replay(TwoRanks("r0: 0F0+1 0F2\nr1: 1F1 1F0 1F2+3\n"), {});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 1), ElementsAre(1, 2, -1)));
}

TEST(ReplayTest, HalfABackwardWaitsForItsHalfAndAWholeOneForBoth) {
  EXPECT_THAT(
      Replay(TwoRanks("r0: 0B0.0 0B0.1 0B1\nr1: 1W9 1B0.1 1B0.0 1B1.0 1B1.1"),
             {})
          .starts,
      ElementsAre(ElementsAre(3, 4, 5), ElementsAre(0, 1, 2, 3, 4)));
  EXPECT_THAT(Replay(TwoRanks("r0: 0B0.1\nr1: 1B0\n"), {}).starts,
              ElementsAre(ElementsAre(1), ElementsAre(0)));
}

TEST(ReplayTest, ForwardsOfAStageOnSeveralRanksFeedTheNextWhereverTheyRun) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(
      "penstock-schedule 1\nname x\nmicrobatches 2\nplacement r0+r1 r2\n"
      "edge activation h 0>1\nr0: 0F0\nr1: 0F1 0F3\nr2: 1F1 1F0 1F2\n");
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_THAT(
      Replay(*schedule, {}).starts,
      ElementsAre(ElementsAre(0), ElementsAre(0, 1), ElementsAre(1, 2, -1)));
}

TEST(ReplayTest, UpdateOfAStageOnSeveralRanksWaitsForEveryReduction) {
  const std::string header =
      "penstock-schedule 1\nname x\nmicrobatches 2\npolicy stash\n"
      "placement r0+r1\nversions 2/0\n";
  const absl::StatusOr<Schedule> schedule = ParseSchedule(
      absl::StrCat(header, "r0: 0G@1 0U@1 0G@2 0U@2\nr1: 0F0 0F1 0G@1 0U@1\n"));
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_THAT(Replay(*schedule, {}).starts,
              ElementsAre(ElementsAre(0, 3, 4, -1), ElementsAre(0, 1, 2, 3)));
}

TEST(ReplayTest, PairsRunOneAfterTheOtherUnlessTheyMayOverlap) {
  const Schedule schedule =
      TwoRanks("r0: 0F0 0F1&0B0 0F2\nr1: 1F0 1B0&1F1 1F2\n");
  EXPECT_THAT(Replay(schedule, {}).starts,
              ElementsAre(ElementsAre(0, 1, 3, 4), ElementsAre(1, 2, 3, 5)));
  EXPECT_THAT(Replay(TwoRanks("r0: 0F0 0F1 0B0&0F2 0F3\nr1: 1F0 1B0&1F1 1F2\n"),
                     {.overlap_pairs = true})
                  .starts,
              ElementsAre(ElementsAre(0, 1, 3, 3, 4), ElementsAre(1, 2, 2, 4)));
}

TEST(ReplayTest, OverlappingActionsBeginTogetherAndEndWithTheLongest) {
  const ReplayResult result =
      Replay(TwoRanks("r0: 0F0&0F1& 0SF0[h>r1] 0F2 0F3\nr1: 1RF0[h<r0] 1F0\n"),
             {.cost =
                  [](const Action& a) {
                    return a.op == Op::kForward ? 1 + a.microbatch.value() : 0;
                  },
              .overlap_pairs = true});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 0, 2, 0, 3), ElementsAre(2, 2)));
  EXPECT_EQ(result.makespan, 7);
}

TEST(ReplayTest, NamesThatDoNotExistHaveNoEffect) {
  Schedule schedule = TwoRanks("r0: 7F0 0SF0[h>r9] 0F9\nr1: 1F0\n");
  schedule.ranks[1].push_back(Action{.op = Op::kForward});
  schedule.edges.push_back(
      {EdgeKind::kActivation, "x", StageId(-3), StageId(9)});
  schedule.placement[0] = {RankId(-5)};
  EXPECT_THAT(Replay(schedule, {}).starts,
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0, 1)));
}

}  // namespace
}  // namespace penstock
