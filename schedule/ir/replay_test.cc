#include "schedule/ir/replay.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

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
  EXPECT_THAT(result.waits, IsEmpty());
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
  EXPECT_THAT(result.incomplete_sends, IsEmpty());
}

TEST(ReplayTest, NormWaitsForEveryRank) {
  const ReplayResult result =
      Replay(TwoRanks("r0: 0F0 0F1 N 0U\nr1: N 1U\n"), {});
  EXPECT_THAT(result.starts,
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(2, 3)));
}

TEST(ReplayTest, NormThatARankLacksIsWaitedForInVain) {
  const ReplayResult result = Replay(TwoRanks("r0: 0F0\nr1: N\n"), {});
  ASSERT_EQ(result.waits.size(), 1u);
  EXPECT_EQ(result.waits[0].rank, RankId(1));
  EXPECT_EQ(result.waits[0].on, RankId(0));
  EXPECT_FALSE(result.waits[0].may_come);
  EXPECT_THAT(result.starts, ElementsAre(ElementsAre(0), ElementsAre(-1)));
}

TEST(ReplayTest, UnreceivedSendCompletesOnlyWhereTheChannelHoldsIt) {
  const Schedule schedule =
      TwoRanks("r0: 0SF0[h>r1] 0SF1[h>r1]\nr1: 1RF0[h<r0]\n");
  EXPECT_THAT(Replay(schedule, {.capacity = 0}).incomplete_sends,
              ElementsAre(Pair(RankId(0), 1)));
  EXPECT_THAT(Replay(schedule, {.capacity = 1}).incomplete_sends, IsEmpty());
}

TEST(ReplayTest, ReceivesPostedAheadCompleteSendsToARankThatIsStuck) {
  const Schedule schedule = TwoRanks(
      "r0: 0SF0[h>r1] 0SF1[h>r1] 0RB0[h<r1]\n"
      "r1: 1RF0[h<r0] N 1F0 1RF1[h<r0]\n");
  EXPECT_THAT(Replay(schedule, {.lookahead = 1}).incomplete_sends,
              ElementsAre(Pair(RankId(0), 1)));
  EXPECT_THAT(Replay(schedule, {.lookahead = 2}).incomplete_sends, IsEmpty());
}

TEST(ReplayTest, NamesThatDoNotExistHaveNoEffect) {
  Schedule schedule = TwoRanks("r0: 7F0 0SF0[h>r9] 0F9\nr1: 1F0\n");
  schedule.ranks[1].push_back(Action{.op = Op::kForward});
  schedule.edges.push_back(
      {EdgeKind::kActivation, "x", StageId(-3), StageId(9)});
  schedule.placement[0] = {RankId(-5)};
  EXPECT_THAT(Replay(schedule, {}).waits, IsEmpty());
}

}  // namespace
}  // namespace penstock
