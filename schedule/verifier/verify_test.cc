#include "schedule/verifier/verify.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/broken_schedules.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A sound lowered schedule: two ranks, two microbatches, a tied weight.
constexpr char kSound[] = R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0 r1
edge activation h 0>1
edge tied_weight w 0>1
r0: 0F0 0SF0[h>r1] 0F1 0SF1[h>r1] 0RB0[h<r1] 0B0 0RB1[h<r1] 0B1 0RB*[w<r1] N 0U 0SF*[w>r1]
r1: 1RF0[h<r0] 1F0 1B0 1SB0[h>r0] 1RF1[h<r0] 1F1 1B1 1SB1[h>r0] 1SB*[w>r0] N 1U 1RF*[w<r0]
)";

// Two stages of a chain on one rank, split backward.
constexpr char kOneRank[] = R"(penstock-schedule 1
name by_hand
microbatches 1
placement r0 r0
edge activation h 0>1
r0: 0F0 1F0 1R0 1I0 0I0 1W0 0W0 N 0U 1U
)";

TEST(VerifyTest, SoundSchedulesHaveNoViolations) {
  EXPECT_THAT(Lines(Verify(ReadSchedule(kSound))), IsEmpty());
  EXPECT_THAT(Lines(Verify(ReadSchedule(kOneRank))), IsEmpty());
}

TEST(VerifyTest, ScheduleBeforeLoweringHasComputeActionsOnly) {
  const std::string bare = Edited(kOneRank, {{" N 0U 1U", ""}});
  EXPECT_THAT(Lines(Verify(ReadSchedule(bare), {.lowered = false})), IsEmpty());
  EXPECT_THAT(
      Lines(Verify(ReadSchedule(kOneRank), {.lowered = false})),
      Contains(HasSubstr("complete r0@7: N stands in a schedule that is "
                         "not lowered")));
  EXPECT_THAT(Lines(Verify(ReadSchedule(bare))),
              ElementsAre("complete r0@-1: N is missing",
                          "complete r0@-1: 0U is missing",
                          "complete r0@-1: 1U is missing"));
}

class BrokenTest : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenTest, RuleIsNamedWithPlaceAndReason) { ExpectFound(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Complete, BrokenTest,
    ::testing::Values(
        Broken{kSound, {{"0F0 ", ""}}, "complete r0@-1: 0F0 is missing"},
        Broken{kSound,
               {{"1B1 ", ""}},
               "complete r1@-1: the backward 1B1 is missing"},
        Broken{kSound,
               {{"0B0 ", "0B0 0B0 "}},
               "complete r0@6: 0B0 is there twice"},
        Broken{kOneRank, {{"0W0 ", ""}}, "complete r0@-1: 0W0 is missing"},
        Broken{kOneRank, {{"0I0 ", ""}}, "complete r0@-1: 0I0 is missing"},
        Broken{kOneRank,
               {{"0W0 ", "0W0 0B0 "}},
               "complete r0@7: 0B0 is a second backward"},
        Broken{kOneRank, {{"1R0 ", "1R0 1R0 "}}, "1R0 is there twice"},
        Broken{kSound, {{"N 1U", "1U"}}, "complete r1@-1: N is missing"},
        Broken{
            kSound, {{"N 1U", "N N 1U"}}, "complete r1@10: N is there twice"},
        Broken{kSound, {{" 0U", ""}}, "complete r0@-1: 0U is missing"},
        Broken{kSound, {{"1U", "1U 1U"}}, "complete r1@11: 1U is there twice"},
        Broken{kSound,
               {{"N 0U", "0G N 0U"}},
               "complete r0@9: 0G: the stage is on this rank alone"},
        Broken{kSound,
               {{"r0 r1\n", "r0+r1 r1\n"}},
               "complete r1@-1: 0G is missing: the stage is on 2 ranks"}));

INSTANTIATE_TEST_SUITE_P(
    Order, BrokenTest,
    ::testing::Values(
        Broken{kOneRank,
               {{"1F0 1R0 1I0", "1I0 1F0 1R0"}},
               "order r0@1: 1I0 has no 1F0 before it"},
        Broken{kOneRank,
               {{"0F0 1F0", "1F0 0F0"}},
               "order r0@0: 1F0 has no 0F0 before it"},
        Broken{kOneRank,
               {{"1I0 0I0", "0I0 1I0"}},
               "order r0@3: 0I0 has no 1B0 before it"},
        Broken{kOneRank,
               {{"1F0 1R0", "1R0 1F0"}},
               "order r0@1: 1R0 has no 1F0 before it"},
        Broken{kOneRank,
               {{"1R0 1I0", "1I0 1R0"}},
               "order r0@3: 1R0 comes after 1I0, which needs it"},
        Broken{kOneRank,
               {{"0I0 1W0 0W0", "0W0 1W0 0I0"}},
               "order r0@4: 0W0 has no 0B0 before it"},
        Broken{kOneRank,
               {{"0W0 N", "N 0W0"}},
               "order r0@6: N comes before the backward 0W0"},
        Broken{kOneRank, {{"N 0U", "0U N"}}, "order r0@7: 0U has no N before"},
        Broken{kSound,
               {{"0F0 0SF0[h>r1]", "0SF0[h>r1] 0F0"}},
               "order r0@0: 0SF0[h>r1] has no 0F0 before it"},
        Broken{kSound,
               {{"1RF1[h<r0] 1F1", "1F1 1RF1[h<r0]"}},
               "order r1@5: 1RF1[h<r0] comes after 1F1, which needs it"},
        Broken{kSound,
               {{"0RB0[h<r1] 0B0", "0B0 0RB0[h<r1]"}},
               "order r0@5: 0RB0[h<r1] comes after 0B0, which needs it"},
        Broken{kSound,
               {{"1B1 1SB1[h>r0]", "1SB1[h>r0] 1B1"}},
               "order r1@6: 1SB1[h>r0] has no 1B1 before it"},
        Broken{kSound,
               {{"1F1 1B1", "1F1 1SB*[w>r0] 1B1"}, {" 1SB*[w>r0]", ""}},
               "order r1@6: 1SB*[w>r0] comes before the backward 1B1"},
        Broken{kSound,
               {{"0RB*[w<r1] N", "N 0RB*[w<r1]"}},
               "order r0@9: 0RB*[w<r1] comes after N, which needs it"},
        Broken{kSound,
               {{"0U 0SF*[w>r1]", "0SF*[w>r1] 0U"}},
               "order r0@10: 0SF*[w>r1] has no 0U before it"},
        Broken{kSound,
               {{"1U 1RF*[w<r0]", "1RF*[w<r0] 1U"}},
               "order r1@10: 1RF*[w<r0] has no 1U before it"}));

INSTANTIATE_TEST_SUITE_P(
    Placement, BrokenTest,
    ::testing::Values(
        Broken{kSound,
               {{"microbatches 2", "microbatches 0"}},
               "placement r-1@-1: 0 microbatches, want at least 1"},
        Broken{kSound, {{"r0 r1\n", "r0 -\n"}}, "stage 1 is on no rank"},
        Broken{kSound,
               {{"r0 r1\n", "r0 r1+r1\n"}},
               "stage 1 is placed on rank 1 twice"},
        Broken{kSound,
               {{"r0 r1\n", "r0 r7\n"}},
               "stage 1 is placed on rank 7 of 2"},
        Broken{kSound,
               {{"w 0>1", "w 0>1\nedge activation x 1>1"}},
               "edge 2 (x) leads from stage 1 to 1, want two different"},
        Broken{kSound,
               {{"0F0 ", "7F0 "}},
               "placement r0@0: 7F0: there is no stage 7 of 2"},
        Broken{kSound,
               {{"0F0 ", "1F0 "}},
               "placement r0@0: 1F0: stage 1 is not on r0"},
        Broken{kSound,
               {{"0F0 ", "0F2 "}},
               "placement r0@0: 0F2: there is no microbatch 2 of 2"},
        Broken{kSound,
               {{"0SF0[h>r1]", "0SF2[h>r1]"}},
               "0SF2[h>r1]: want a microbatch from 0 to 1"},
        Broken{kSound,
               {{"0SF0[h>r1]", "0SF*[h>r1]"}},
               "0SF*[h>r1]: want a microbatch from 0 to 1"},
        Broken{kSound,
               {{"0SF*[w>r1]", "0SF0[w>r1]"}},
               "0SF0[w>r1]: a tied weight goes once a step; want *"},
        Broken{kSound,
               {{"0SF0[h>r1]", "0SF0[h>r0]"}},
               "has to be another rank that holds stage 1, got r0"},
        Broken{kSound,
               {{"0SF0[h>r1]", "0SF0[h>r9]"}},
               "has to be another rank that holds stage 1, got r9"},
        Broken{kSound,
               {{"0SF0[h>r1]", "0RF0[h#0<r1]"}},
               "0RF0[h#0<r1]: this end of h is stage 1"}));

INSTANTIATE_TEST_SUITE_P(
    CommPairing, BrokenTest,
    ::testing::Values(
        Broken{kSound,
               {{"1RF1[h<r0] ", ""}},
               "comm_pairing r0@3: 0SF1[h>r1] has no receive"},
        Broken{kSound,
               {{"1RF1[h<r0] ", ""}},
               "comm_pairing r1@-1: 1RF1[h<r0] is missing"},
        Broken{kSound,
               {{"0SF1[h>r1] ", ""}},
               "comm_pairing r1@4: 1RF1[h<r0] has no send"},
        Broken{kSound,
               {{"1SB*[w>r0] ", ""}},
               "comm_pairing r0@8: 0RB*[w<r1] has no send"},
        Broken{kSound,
               {{"0SF*[w>r1]", ""}, {" 1RF*[w<r0]", ""}},
               "comm_pairing r1@-1: 1RF*[w<r0] is missing"},
        Broken{kSound,
               {{"0SF0[h>r1] ", "0SF0[h>r1] 0SF0[h>r1] "}},
               "comm_pairing r0@2: 0SF0[h>r1] is there twice"},
        Broken{kSound,
               {{"0SF0[h>r1] 0F1 0SF1[h>r1]", "0F1 0SF1[h>r1] 0SF0[h>r1]"}},
               "1RF0[h<r0] would get message 0 of its channel, which is "
               "0SF1[h>r1] of r0"}));

INSTANTIATE_TEST_SUITE_P(
    DeadlockFree, BrokenTest,
    ::testing::Values(
        Broken{kSound,
               {{"0F0 0SF0[h>r1] 0F1 0SF1[h>r1] 0RB0[h<r1]",
                 "0RB0[h<r1] 0F0 0SF0[h>r1] 0F1 0SF1[h>r1]"}},
               "deadlock_free r0@0: wait cycle: r0 at 0RB0[h<r1] waits for "
               "1SB0[h>r0] of r1; r1 at 1RF0[h<r0] waits for 0SF0[h>r1] of r0"},
        Broken{kSound,
               {{"1SB1[h>r0] 1SB*[w>r0] N", "1SB1[h>r0] N 1SB*[w>r0]"}},
               "wait cycle: r0 at 0RB*[w<r1] waits for 1SB*[w>r0] of r1; r1 at "
               "N waits for N of r0"},
        Broken{kSound,
               {{"N 0U", "0U"}},
               "deadlock_free r1@9: r1 at N waits for N of r0, which never"},
        Broken{kSound,
               {{"0SF0[h>r1] ", ""}, {"0SF1[h>r1] ", ""}},
               "r1 at 1RF0[h<r0] waits for a send of r0, which never comes"},
        Broken{kSound,
               {{"1RF*[w<r0]", ""}},
               "deadlock_free r0@11: 0SF*[w>r1] never completes where a "
               "channel holds 0 messages"}));

INSTANTIATE_TEST_SUITE_P(
    Flush, BrokenTest,
    ::testing::Values(
        Broken{kOneRank,
               {{"0W0 N", "N"}},
               "drained r0@6: N stands with 1 in flight, first 0F0"},
        Broken{kSound,
               {{"1F0 1B0", "1F0@3 1B0"}},
               "weight_version r1@1: 1F0@3: a flush leaves one version"},
        Broken{kSound,
               {{"0U", "0U@2"}},
               "weight_version r0@10: 0U@2: a flush leaves one version"},
        Broken{kSound,
               {{"0RB0[h<r1] 0B0 0RB1[h<r1] 0B1",
                 "0RB0[h<r1] 0RB1[h<r1] 0B1 0B0"}},
               "accumulation_order r0@7: 0B0 comes after 0B1; the schedule "
               "sums gradients in ascending order"},
        Broken{kSound,
               {{"microbatches 2", "microbatches 2\naccumulation descending"}},
               "accumulation_order r0@7: 0B1 comes after 0B0"},
        Broken{kSound,
               {{"0F0 0SF0", "0F0& 0SF0"}, {"0SF1[h>r1] 0RB0", "0RB0"}},
               "comm_pairing r0@-1: 0SF1[h>r1] is missing"},
        Broken{kSound,
               {{"0B1 ", "0B1& "}},
               "order r0@7: 0B1& overlaps what follows, but N stands between"},
        Broken{kOneRank,
               {{"0F0 1F0", "0F0&1F0"}},
               "order r0@1: 1F0 overlaps 0F0&, which it needs"},
        Broken{kOneRank,
               {{"1I0 0I0", "1I0&0I0&"}},
               "is the second of a pair and overlaps a third"},
        Broken{
            kOneRank, {{"0W0", "0W0.0"}}, "complete r0@-1: 0W0.1 is missing"},
        Broken{kOneRank,
               {{"0W0", "0W0 0W0.1"}},
               "complete r0@7: 0W0.1 is there twice"}));

TEST(VerifyTest, OfRubbishTheFirstHundredMistakesAreEnough) {
  std::string text =
      "penstock-schedule 1\nname x\nmicrobatches 1\nplacement r0\nr0:";
  for (int i = 0; i < 500; ++i) absl::StrAppend(&text, " 0F0 0B0");
  const std::vector<Violation> violations =
      Verify(ParseSchedule(text).value(), {.lowered = false});
  EXPECT_EQ(violations.size(), 100u);
  EXPECT_EQ(violations.back().rule, "complete");
}

TEST(VerifyTest, CrossingWaitsOfComputeActionsAreADeadlockToo) {
  const Schedule schedule = ReadSchedule(
      "penstock-schedule 1\nname x\nmicrobatches 1\nplacement r0 r1 r0 r1\n"
      "edge activation a 0>1\nedge activation b 1>2\nedge activation c 2>3\n"
      "r0: 2F0 0F0 2B0 0B0\nr1: 1F0 3F0 3B0 1B0\n");
  EXPECT_THAT(Lines(Verify(schedule, {.lowered = false})),
              Contains("deadlock_free r0@0: wait cycle: r0 at 2F0 waits for "
                       "1F0 of r1; r1 at 1F0 waits for 0F0 of r0"));
}

TEST(VerifyTest, EveryRuleGoesOnAfterAnotherFailed) {
  std::vector<std::string> rules;
  for (const Violation& v : Verify(ReadSchedule(
           Edited(kSound, {{"0F0 ", "0F9 "},
                           {"1SB0[h>r0] ", ""},
                           {"1B1 1SB1[h>r0]", "1SB1[h>r0] 1B1"}})))) {
    rules.push_back(v.rule);
  }
  for (const char* rule :
       {"placement", "complete", "order", "comm_pairing", "deadlock_free"}) {
    EXPECT_THAT(rules, Contains(rule));
  }
}

TEST(VerifyTest, AtMostAHundredViolationsOfARuleAreTold) {
  const std::vector<Violation> violations = Verify(ReadSchedule(
      "penstock-schedule 1\nname x\nmicrobatches 2000000000\nplacement r0\n"
      "r0:\n"));
  EXPECT_LE(violations.size(), 200u);
  EXPECT_THAT(Lines(violations),
              Contains(HasSubstr("(further ones are left out)")));
}

TEST(VerifyTest, EmptyScheduleIsUnsound) {
  EXPECT_THAT(Lines(Verify(Schedule())),
              Contains(HasSubstr("0 ranks and 0 stages")));
}

Schedule OnlyRank(Schedule schedule, int rank) {
  for (int r = 0; r < schedule.num_ranks(); ++r) {
    if (r != rank) schedule.ranks[r].clear();
  }
  return schedule;
}

TEST(VerifyRankTest, EachRankOfASoundScheduleIsSoundAlone) {
  for (const int rank : {0, 1}) {
    const Schedule schedule = OnlyRank(ReadSchedule(kSound), rank);
    EXPECT_THAT(Lines(VerifyRank(schedule, RankId(rank))), IsEmpty());
  }
}

TEST(VerifyRankTest, FindsWhatIsMissingOrMisordered) {
  const Schedule schedule = OnlyRank(
      ReadSchedule(Edited(kSound, {{"1RF0[h<r0] ", ""},
                                   {"1B1 1SB1[h>r0]", "1SB1[h>r0] 1B1"},
                                   {"1U ", ""}})),
      1);
  const std::vector<std::string> lines = Lines(VerifyRank(schedule, RankId(1)));
  EXPECT_THAT(lines, Contains("comm_pairing r1@-1: 1RF0[h<r0] is missing"));
  EXPECT_THAT(lines, Contains("order r1@5: 1SB1[h>r0] has no 1B1 before it"));
  EXPECT_THAT(lines, Contains("complete r1@-1: 1U is missing"));
}

TEST(VerifyRankTest, RankThatIsNotThereIsAViolation) {
  EXPECT_THAT(Lines(VerifyRank(ReadSchedule(kSound), RankId(2))),
              ElementsAre("placement r2@-1: there is no rank 2 of 2"));
  EXPECT_THAT(Lines(VerifyRank(ReadSchedule(kSound), RankId(-1))),
              ElementsAre("placement r-1@-1: there is no rank -1 of 2"));
}

TEST(VerifyRankTest, HugeCountsTakeNoTime) {
  const Schedule schedule = ReadSchedule(
      "penstock-schedule 1\nname x\nmicrobatches 2000000000\n"
      "placement r0 r1 r0\nedge activation h 0>2\nr0: 0F0\nr1:\n");
  EXPECT_FALSE(VerifyRank(schedule, RankId(1)).empty());
}

// Texts are spoiled at random, the same on each run. What still parses may be
// anything; every answer must come, and be the same when asked again.
TEST(VerifyTest, SpoiledSchedulesAreJudgedWithoutACrash) {
  constexpr char kBytes[] = "0123456789FBIWRSU*";
  int judged = 0, unsound = 0;
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    std::string text = seed % 2 == 0 ? kSound : kOneRank;
    for (uint64_t edit = 0; edit <= RandomKey(seed, {0}) % 3; ++edit) {
      const uint64_t draw = RandomKey(seed, {1, edit});
      const size_t at = (draw >> 8) % text.size();
      text[at] = kBytes[(draw >> 40) % (sizeof(kBytes) - 1)];
    }
    const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
    if (!schedule.ok()) continue;
    ++judged;
    const std::vector<Violation> violations = Verify(*schedule);
    EXPECT_EQ(violations, Verify(*schedule));
    for (int rank = 0; rank < schedule->num_ranks(); ++rank) {
      VerifyRank(OnlyRank(*schedule, rank), RankId(rank));
    }
    if (violations.empty()) continue;
    ++unsound;
    EXPECT_FALSE(SoundOrError(*schedule, violations).ok());
    for (const Violation& violation : violations) {
      EXPECT_FALSE(Describe(*schedule, violation).empty());
    }
  }
  EXPECT_GT(judged, 500);
  EXPECT_GT(unsound, judged / 2);
}

TEST(DescribeTest, MarksTheCellInTheGrid) {
  const Schedule schedule = ReadSchedule(
      Edited(kSound, {{"0F1 0SF1[h>r1] 0RB0[h<r1] 0B0 0RB1[h<r1] 0B1",
                       "0RB0[h<r1] 0RB1[h<r1] 0B0 0F1 0SF1[h>r1] 0B1"}}));
  const std::vector<Violation> violations = Verify(schedule);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(Describe(schedule, violations[0]),
            "deadlock_free: r0 action 3: wait cycle: r0 at 0RB1[h<r1] waits "
            "for 1SB1[h>r0] of r1; r1 at 1RF1[h<r0] waits for 0SF1[h>r1] of "
            "r0\n"
            R"(step  r0            r1
   0  0F0           .
   1  0SF0[h>r1]    .
   2  .             1RF0[h<r0]
   3  .             1F0
   4  .             1B0
   5  .             1SB0[h>r0]
   6  0RB0[h<r1]    .
   -  >0RB1[h<r1]<  1RF1[h<r0]
   -  0B0           1F1
   -  0F1           1B1
   -  0SF1[h>r1]    1SB1[h>r0]
   -  0B1           1SB*[w>r0]
   -  0RB*[w<r1]    N
   -  N             1U
   -  0U            1RF*[w<r0]
   -  0SF*[w>r1]    .
)");
}

TEST(VerifyTest, AGroupedScheduleOfNothingIsJudged) {
  Schedule schedule;
  schedule.policy = WeightPolicy::kGrouped;
  schedule.num_microbatches = 1;
  EXPECT_FALSE(Verify(schedule).empty());
  schedule.ranks.resize(2);
  schedule.period.resize(2);
  schedule.epilogue.resize(2);
  EXPECT_FALSE(Verify(schedule).empty());
}

TEST(SoundOrErrorTest, CarriesTheFirstViolations) {
  EXPECT_TRUE(SoundOrError(ReadSchedule(kSound), {}).ok());
  const Schedule schedule = ReadSchedule(Edited(kSound, {{"0F0 ", "0F1 "}}));
  const absl::Status status = SoundOrError(schedule, Verify(schedule));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("complete: r0 action 2: 0F1 is there twice\nstep  r0"));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("complete: r0: 0F0 is missing"));
}

}  // namespace
}  // namespace penstock
