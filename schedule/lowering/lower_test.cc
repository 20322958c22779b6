#include "schedule/lowering/lower.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_reductions.h"
#include "schedule/lowering/insert_updates.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// The lists of a schedule file with these header lines and ranks.
Schedule Read(const std::string& rest) {
  const absl::StatusOr<Schedule> schedule =
      ParseSchedule(absl::StrCat("penstock-schedule 1\nname by_hand\n", rest));
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

std::string ListOf(const Schedule& schedule, int rank) {
  return absl::StrJoin(schedule.ranks[rank], " ",
                       [&](std::string* out, const Action& action) {
                         out->append(ToString(action, schedule.edges));
                       });
}

TEST(MakeFlushScheduleTest, ReceivesBeforeAndSendsAfterWhatNeedsThem) {
  const absl::StatusOr<Schedule> schedule =
      MakeFlushSchedule({"one_f_one_b", {}, 2, 2, 2, ChainEdges(2)});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0),
            "0F0 0SF0[h0>r1] 0F1 0SF1[h0>r1] 0RB0[h0<r1] 0B0 0RB1[h0<r1] 0B1 "
            "N 0U");
  EXPECT_EQ(ListOf(*schedule, 1),
            "1RF0[h0<r0] 1F0 1B0 1SB0[h0>r0] 1RF1[h0<r0] 1F1 1B1 1SB1[h0>r0] "
            "N 1U");
}

TEST(MakeFlushScheduleTest, OneRankNeedsNoCommunication) {
  const absl::StatusOr<Schedule> schedule =
      MakeFlushSchedule({"gpipe", {}, 1, 1, 2, {}});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0), "0F0 0F1 0B0 0B1 N 0U");
}

TEST(MakeFlushScheduleTest, TiedWeightTravelsOnceAStep) {
  std::vector<Edge> edges = ChainEdges(2);
  edges.push_back({EdgeKind::kTiedWeight, "wte", StageId(0), StageId(1)});
  const absl::StatusOr<Schedule> schedule =
      MakeFlushSchedule({"gpipe", {}, 2, 2, 1, edges});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0),
            "0F0 0SF0[h0>r1] 0RB0[h0<r1] 0B0 0RB*[wte<r1] N 0U 0SF*[wte>r1]");
  EXPECT_EQ(ListOf(*schedule, 1),
            "1RF0[h0<r0] 1F0 1B0 1SB0[h0>r0] 1SB*[wte>r0] N 1U 1RF*[wte<r0]");
}

TEST(MakeFlushScheduleTest, SkipEdgeGoesDirectlyToItsConsumer) {
  std::vector<Edge> edges = ChainEdges(3);
  edges.push_back({EdgeKind::kActivation, "skip", StageId(0), StageId(2)});
  const absl::StatusOr<Schedule> schedule =
      MakeFlushSchedule({"gpipe", {}, 3, 3, 1, edges});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0),
            "0F0 0SF0[h0>r1] 0SF0[skip>r2] 0RB0[h0<r1] 0RB0[skip<r2] 0B0 N 0U");
  EXPECT_EQ(ListOf(*schedule, 2),
            "2RF0[h1<r1] 2RF0[skip<r0] 2F0 2B0 2SB0[h1>r1] 2SB0[skip>r0] "
            "N 2U");
}

TEST(MakeFlushScheduleTest, ContinuousSchedulesAreRefused) {
  EXPECT_THAT(MakeFlushSchedule({"pipedream", {}, 2, 2, 2, ChainEdges(2)})
                  .status()
                  .message(),
              HasSubstr("schedule pipedream does not flush"));
}

TEST(MakeFlushScheduleTest, GeneratorsErrorsComeThrough) {
  EXPECT_THAT(MakeFlushSchedule({"gpip", {}, 1, 1, 1, {}}).status().message(),
              HasSubstr("did you mean \"gpipe\"?"));
}

TEST(MakeFlushScheduleTest, EdgeOfAStageThatDoesNotExistIsRefused) {
  EXPECT_THAT(MakeFlushSchedule({"gpipe", {}, 2, 2, 1, ChainEdges(3)})
                  .status()
                  .message(),
              HasSubstr("edge 1 (h1) names stage 2 of 2"));
}

TEST(InsertCommunicationTest, EdgeInsideARankNeedsNone) {
  const absl::StatusOr<Schedule> schedule = InsertCommunication(
      Read("microbatches 1\nplacement r0 r0\nedge activation h0 0>1\n"
           "edge tied_weight wte 0>1\nr0: 0F0 1F0 1B0 0B0\n"));
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0), "0F0 1F0 1B0 0B0");
}

TEST(InsertCommunicationTest, SplitBackwardSendsAfterItsInputHalf) {
  const absl::StatusOr<Schedule> schedule = InsertCommunication(
      Read("microbatches 1\nplacement r0 r1\nedge activation h0 0>1\n"
           "edge tied_weight wte 0>1\n"
           "r0: 0F0 0I0 0W0\nr1: 1F0 1I0 1W0\n"));
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0),
            "0F0 0SF0[h0>r1] 0RB0[h0<r1] 0I0 0W0 0RB*[wte<r1]");
  EXPECT_EQ(ListOf(*schedule, 1),
            "1RF0[h0<r0] 1F0 1I0 1SB0[h0>r0] 1W0 1SB*[wte>r0]");
}

// Each rank owns a weight that the other uses: were a receive before the send
// of the same rank, both would wait.
TEST(InsertCommunicationTest, TiedSendsStandBeforeTiedReceives) {
  const absl::StatusOr<Schedule> updates =
      InsertUpdates(Read("microbatches 1\nplacement r0 r1 r0 r1\n"
                         "edge tied_weight a 2>1\nedge tied_weight b 3>0\n"
                         "r0: 0F0 2F0 2B0 0B0\nr1: 1F0 3F0 3B0 1B0\n"));
  ASSERT_TRUE(updates.ok()) << updates.status();
  const absl::StatusOr<Schedule> schedule = InsertCommunication(*updates);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0),
            "0F0 2F0 2B0 0B0 0SB*[b>r1] 2RB*[a<r1] N 0U 2U 2SF*[a>r1] "
            "0RF*[b<r1]");
  EXPECT_EQ(ListOf(*schedule, 1),
            "1F0 3F0 3B0 1B0 1SB*[a>r0] 3RB*[b<r0] N 1U 3U 3SF*[b>r0] "
            "1RF*[a<r0]");
}

TEST(InsertCommunicationTest, IsNotDoneTwice) {
  const Schedule schedule = *InsertCommunication(
      Read("microbatches 1\nplacement r0 r1\nedge activation h0 0>1\n"
           "r0: 0F0 0B0\nr1: 1F0 1B0\n"));
  EXPECT_THAT(InsertCommunication(schedule).status().message(),
              HasSubstr("has communication already, on rank 0"));
}

// Two stages, each on both ranks: even microbatches go down, odd ones up.
Schedule Bidirectional() {
  Schedule schedule = Read(
      "microbatches 2\nplacement r0+r1 r1+r0\n"
      "edge activation h 0>1\n"
      "r0: 0F0 1F1 1B1 0B0\nr1: 0F1 1F0 1B0 0B1\n");
  return schedule;
}

TEST(InsertCommunicationTest, CopiesOfAStageTalkToTheirOwnNeighbours) {
  const absl::StatusOr<Schedule> schedule =
      InsertCommunication(Bidirectional());
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0),
            "0F0 0SF0[h>r1] 1RF1[h<r1] 1F1 1B1 1SB1[h>r1] 0RB0[h<r1] 0B0");
  EXPECT_EQ(ListOf(*schedule, 1),
            "0F1 0SF1[h>r0] 1RF0[h<r0] 1F0 1B0 1SB0[h>r0] 0RB1[h<r0] 0B1");
}

TEST(InsertReductionsTest, StandAfterTheStagesLastBackwardOnTheRank) {
  const absl::StatusOr<Schedule> schedule = InsertReductions(Bidirectional());
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0), "0F0 1F1 1B1 1G 0B0 0G");
  EXPECT_EQ(ListOf(*schedule, 1), "0F1 1F0 1B0 1G 0B1 0G");
  EXPECT_THAT(InsertReductions(*schedule).status().message(),
              HasSubstr("has reductions already, on rank 0"));
}

TEST(InsertReductionsTest, RankWithoutAMicrobatchTakesPart) {
  const absl::StatusOr<Schedule> schedule = InsertReductions(
      Read("microbatches 1\nplacement r0+r1\nr0: 0F0 0B0\nr1:\n"));
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(ListOf(*schedule, 0), "0F0 0B0 0G");
  EXPECT_EQ(ListOf(*schedule, 1), "0G");
}

TEST(InsertCommunicationTest, MicrobatchWithoutItsForwardIsRefused) {
  EXPECT_THAT(
      InsertCommunication(
          Read("microbatches 1\nplacement r0 r0+r1\nedge activation h0 0>1\n"
               "r0: 0F0\nr1: 1B0\n"))
          .status()
          .message(),
      HasSubstr("no rank runs the F of stage 1 on microbatch 0"));
  EXPECT_THAT(
      InsertCommunication(
          Read("microbatches 1\nplacement r0 r0+r1\nedge activation h0 0>1\n"
               "r0: 0F0 1F0\nr1: 1F0\n"))
          .status()
          .message(),
      HasSubstr("stage 1 runs microbatch 0 on rank 0 and on rank 1"));
}

TEST(InsertCommunicationTest, StageThatDoesNotExistIsRefused) {
  EXPECT_THAT(
      InsertCommunication(Read("microbatches 1\nplacement r0\nr0: 4F0\n"))
          .status()
          .message(),
      HasSubstr("rank 0 runs stage 4 of 1"));
}

TEST(InsertUpdatesTest, IsNotDoneTwice) {
  const Schedule schedule =
      *InsertUpdates(Read("microbatches 1\nplacement r0\nr0: 0F0 0B0\n"));
  EXPECT_EQ(ListOf(schedule, 0), "0F0 0B0 N 0U");
  EXPECT_THAT(InsertUpdates(schedule).status().message(),
              HasSubstr("has updates already, on rank 0"));
}

TEST(InsertUpdatesTest, StageOnARankThatDoesNotExistIsRefused) {
  EXPECT_THAT(InsertUpdates(Read("microbatches 1\nplacement r3\nr0: 0F0 0B0\n"))
                  .status()
                  .message(),
              HasSubstr("stage 0 is placed on rank 3 of 1"));
}

}  // namespace
}  // namespace penstock
