#include "schedule/lowering/lower.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_reductions.h"
#include "schedule/lowering/insert_updates.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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

TEST(InsertCommunicationTest, OfAPairOnlyTheSecondWaitsForWhatItTakes) {
  Schedule schedule = Read(
      "microbatches 2\nplacement r0 r1\nedge activation h 0>1\n"
      "r0: 0F0 0F1&0B0 0B1\nr1: 1F0 1B0 1F1 1B1\n");
  const absl::StatusOr<Schedule> lowered = InsertCommunication(schedule);
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  EXPECT_EQ(ListOf(*lowered, 0),
            "0F0 0SF0[h>r1] 0F1& 0SF1[h>r1] 0RB0[h<r1] 0B0 0RB1[h<r1] 0B1");
  schedule.ranks[0].resize(2);
  EXPECT_THAT(InsertCommunication(schedule).status().message(),
              HasSubstr("an overlapped pair is of two compute actions"));
}

TEST(InsertCommunicationTest, ForwardOfTwoSendsBothAndHalvesGoOneByOne) {
  Schedule schedule = Read(
      "microbatches 2\nplacement r0 r1\nedge activation h 0>1\n"
      "r0: 0F0 0B0 0B1\nr1: 1F0 1F1 1B0 1B0 1B1\n");
  schedule.ranks[0][0].num_microbatches = 2;
  schedule.ranks[1][2].half = Half::kFirst;
  schedule.ranks[1][3].half = Half::kSecond;
  const absl::StatusOr<Schedule> lowered = InsertCommunication(schedule);
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  EXPECT_EQ(ListOf(*lowered, 0),
            "0F0+1 0SF0[h>r1] 0SF1[h>r1] 0RB0.0[h<r1] 0RB0.1[h<r1] 0B0 "
            "0RB1[h<r1] 0B1");
  EXPECT_EQ(ListOf(*lowered, 1),
            "1RF0[h<r0] 1F0 1RF1[h<r0] 1F1 1B0.0 1SB0.0[h>r0] 1B0.1 "
            "1SB0.1[h>r0] 1B1 1SB1[h>r0]");
}

// Both users of a weight on two ranks have its gradient once it is reduced.
TEST(InsertCommunicationTest, TiedWeightOfReplicasGoesToWhoLacksIt) {
  const std::string text =
      "microbatches 2\nplacement r0 r1+r2\nedge activation h 0>1\n"
      "edge tied_weight w 0>1\n"
      "r0: 0F0 0F1 0B0 0B1\nr1: 1F0 1B0\nr2: 1F1 1B1\n";
  const absl::StatusOr<Schedule> lowered = Lower(Read(text));
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  EXPECT_THAT(ListOf(*lowered, 0),
              HasSubstr("0B1 0RB*[w<r1] N 0U 0SF*[w>r1] 0SF*[w>r2]"));
  EXPECT_THAT(ListOf(*lowered, 1),
              HasSubstr("1B0 1SB0[h>r0] 1G 1SB*[w>r0] N 1U 1RF*[w<r0]"));
  EXPECT_THAT(ListOf(*lowered, 2),
              HasSubstr("1B1 1SB1[h>r0] 1G N 1U 1RF*[w<r0]"));
  EXPECT_TRUE(Verify(*lowered).empty());
}

TEST(InsertRecomputeTest, StandsBeforeTheBackwardAndItsReceives) {
  const Schedule schedule = Read(
      "microbatches 2\nplacement r0 r1\nedge activation h 0>1\n"
      "r0: 0F0 0F1 0B0 0B1\nr1: 1F0 1F1 1I0 1I1 1W0 1W1\n");
  const auto lists = [&](const char* recompute) {
    const absl::StatusOr<Schedule> lowered = Lower(schedule, recompute);
    EXPECT_TRUE(lowered.ok()) << lowered.status();
    return absl::StrCat(ListOf(*lowered, 0), "; ", ListOf(*lowered, 1));
  };
  EXPECT_EQ(lists("always"),
            "0F0 0SF0[h>r1] 0F1 0SF1[h>r1] 0R0 0RB0[h<r1] 0B0 0R1 0RB1[h<r1] "
            "0B1 N 0U; 1RF0[h<r0] 1F0 1RF1[h<r0] 1F1 1R0 1I0 1SB0[h>r0] 1R1 "
            "1I1 1SB1[h>r0] 1W0 1W1 N 1U");
  EXPECT_THAT(lists("except_last"),
              AllOf(HasSubstr("0R0"), Not(HasSubstr("R1 "))));
  EXPECT_THAT(lists("1"), AllOf(Not(HasSubstr("0R0 ")), HasSubstr("1R1 1I1")));
  EXPECT_EQ(lists("never").find("R0 "), std::string::npos);
}

TEST(InsertRecomputeTest, BadPoliciesAreRefused) {
  const Schedule schedule =
      Read("microbatches 1\nplacement r0\nr0: 0F0 0R0 0B0\n");
  EXPECT_TRUE(Lower(schedule, "never").ok());
  EXPECT_THAT(Lower(schedule, "always").status().message(),
              HasSubstr("recomputes already, on rank 0"));
  EXPECT_THAT(Lower(schedule, "3").status().message(),
              HasSubstr("recompute names stage 3 of 1"));
  for (const char* text : {"", "sometimes", "1,,2", "-1", "1;2"}) {
    EXPECT_THAT(Lower(schedule, text).status().message(),
                HasSubstr("want never, except_last, always, or stages"));
  }
  const absl::StatusOr<Schedule> pipedream = Generate("pipedream", {2, 0, 2});
  ASSERT_TRUE(pipedream.ok()) << pipedream.status();
  EXPECT_THAT(Lower(*pipedream, "except_last").status().message(),
              HasSubstr("without a last microbatch"));
}

TEST(MakeScheduleTest, UpdateComesRightAfterTheLastBackwardThatCounts) {
  const absl::StatusOr<Schedule> schedule =
      MakeSchedule({.generator = "pipedream_2bw",
                    .num_ranks = 2,
                    .num_microbatches = 2,
                    .edges = ChainEdges(2)});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  for (const Action& action : schedule->period[1]) {
    EXPECT_EQ(action.version.has_value(),
              IsCompute(action.op) || action.op == Op::kUpdate);
  }
  const std::vector<Action>& period = schedule->period[1];
  const auto update =
      std::find_if(period.begin(), period.end(),
                   [](const Action& a) { return a.op == Op::kUpdate; });
  ASSERT_NE(update, period.end());
  EXPECT_EQ((update - 2)->op, Op::kBackward);
  EXPECT_EQ((update - 1)->op, Op::kSendBackward);
}

// The replicas' update waits for both, so it stands before the first forward
// that reads it and not before.
TEST(MakeScheduleTest, UpdateOfReplicasComesWhenItIsRead) {
  const absl::StatusOr<Schedule> schedule =
      MakeSchedule({.generator = "pipedream",
                    .parameters = {{"replicas", "2,1"}},
                    .num_ranks = 3,
                    .num_microbatches = 2,
                    .edges = ChainEdges(2)});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  const std::vector<Action>& period = schedule->period[0];
  std::vector<Op> ops;
  for (const Action& action : period) ops.push_back(action.op);
  EXPECT_THAT(ops, ElementsAre(Op::kUpdate, Op::kForward, Op::kSendForward,
                               Op::kReceiveBackward, Op::kBackward,
                               Op::kReduceGradient));
  EXPECT_EQ(*period[0].version, *period[1].version);
  EXPECT_EQ(*period[5].version, *period[0].version + 1);
}

TEST(MakeScheduleTest, ScheduleThatDoesNotFitIsRefused) {
  ScheduleRequest request{.generator = "gpipe",
                          .num_ranks = 2,
                          .num_microbatches = 4,
                          .edges = ChainEdges(2)};
  request.memory.in_flight = {3};
  const absl::Status status = MakeSchedule(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("4 microbatches are in flight at 0F3, limit 3"));
  request.generator = "one_f_one_b";
  EXPECT_TRUE(MakeSchedule(request).ok());
}

TEST(MakeRankListTest, IsTheListOfTheWholeSchedule) {
  for (const char* generator : {"gpipe", "one_f_one_b", "interleaved", "zbv"}) {
    ScheduleRequest request{
        .generator = generator, .num_ranks = 4, .num_microbatches = 8};
    request.edges = ChainEdges(*CountStages(generator, {4, 0, 8}));
    const absl::StatusOr<Schedule> whole = MakeSchedule(request);
    ASSERT_TRUE(whole.ok()) << whole.status();
    for (int rank = 0; rank < 4; ++rank) {
      const absl::StatusOr<std::vector<Action>> list =
          MakeRankList(request, RankId(rank));
      ASSERT_TRUE(list.ok()) << list.status();
      EXPECT_EQ(*list, whole->ranks[rank]);
    }
  }
}

TEST(MakeRankListTest, PlansOneOfThousandsOfRanks) {
  const absl::StatusOr<std::vector<Action>> list =
      MakeRankList({.generator = "one_f_one_b",
                    .num_ranks = 4096,
                    .num_microbatches = 8192,
                    .edges = ChainEdges(4096)},
                   RankId(2000));
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->size(), 6u * 8192 + 2);
}

TEST(MakeRankListTest, WhatOneRankCannotTellIsRefused) {
  EXPECT_THAT(MakeRankList({.generator = "chimera",
                            .num_ranks = 4,
                            .num_microbatches = 4,
                            .edges = ChainEdges(4)},
                           RankId(0))
                  .status()
                  .message(),
              HasSubstr("puts a stage on 2 ranks"));
  EXPECT_FALSE(
      MakeRankList(
          {.generator = "gpipe", .num_ranks = 2, .num_microbatches = 1},
          RankId(2))
          .ok());
}

}  // namespace
}  // namespace penstock
