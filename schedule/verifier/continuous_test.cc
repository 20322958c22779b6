// The rules that continuous schedules have to themselves.

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/verifier/broken_schedules.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One stage on two ranks, microbatch b on rank b mod 2.
constexpr char kReplicas[] = R"(penstock-schedule 1
name by_hand
microbatches 2
policy stash
placement r0+r1
versions 2/0
prologue
r0:
r1:
period
r0: 0F0@0 0B0@0 0G@1 0U@1
r1: 0F1@0 0B1@0 0G@1 0U@1
epilogue
r0:
r1:
)";

// Both ranks read one update late; stage 1 uses a weight of stage 0.
constexpr char kTied[] = R"(penstock-schedule 1
name by_hand
microbatches 1
policy double_buffer
placement r0 r1
versions 1/1 1/1
edge activation h 0>1
edge tied_weight w 0>1
prologue
r0: 0SF*@0[w>r1] 0F0@0 0SF0[h>r1] 0F1@0 0SF1[h>r1] 0RB0[h<r1] 0B0@0 0RB*@1[w<r1] 0U@1 0SF*@1[w>r1]
r1: 1RF0[h<r0] 1F0@0 1B0@0 1SB0[h>r0] 1SB*@1[w>r0] 1U@1
period
r0: 0F2@1 0SF2[h>r1] 0RB1[h<r1] 0B1@0 0RB*@2[w<r1] 0U@2 0SF*@2[w>r1]
r1: 1RF1[h<r0] 1RF*@0[w<r0] 1F1@0 1B1@0 1SB1[h>r0] 1SB*@2[w>r0] 1U@2
epilogue
r0: 0RB1[h<r1] 0B1@0 0RB*@2[w<r1] 0U@2 0SF*@2[w>r1]
r1: 1RF1[h<r0] 1RF*@0[w<r0] 1F1@0 1B1@0 1SB1[h>r0] 1SB*@2[w>r0] 1U@2 1RF*@1[w<r0] 1RF*@2[w<r0]
)";

TEST(VerifyContinuousTest, SoundSchedulesHaveNoViolations) {
  EXPECT_THAT(Lines(Verify(ReadSchedule(kTied))), IsEmpty());
  EXPECT_THAT(Lines(VerifyRank(ReadSchedule(kTied), RankId(1))), IsEmpty());
  EXPECT_THAT(Lines(Verify(ReadSchedule(kPipedreamText))), IsEmpty());
  EXPECT_THAT(Lines(Verify(ReadSchedule(kReplicas))), IsEmpty());
  for (const int rank : {0, 1}) {
    EXPECT_THAT(Lines(VerifyRank(ReadSchedule(kPipedreamText), RankId(rank))),
                IsEmpty());
  }
}

class BrokenContinuousTest : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenContinuousTest, RuleIsNamedWithPlaceAndReason) {
  ExpectFound(GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    WeightVersion, BrokenContinuousTest,
    ::testing::Values(
        Broken{kPipedreamText,
               {{"0B0@0", "0B0@1"}},
               "weight_version r0@5: 0B0@1 reads another version than 0F0@0"},
        Broken{kPipedreamText,
               {{"1F0@0", "1F0"}},
               "weight_version r1@1: 1F0 names no version"},
        Broken{kPipedreamText,
               {{"0F1@0", "0F1@1"}},
               "weight_version r0@2: 0F1@1 reads a version that no update "
               "before it makes; the newest "
               "there is 0"},
        Broken{kPipedreamText,
               {{" 0U@1", " 0U"}},
               "weight_version r0@6: 0U names no version"},
        Broken{kPipedreamText,
               {{"period\nr0: ", "period\nr0: 0U@2 "}, {" 0U@2", ""}},
               "0B1@0 reads a version that is gone: the newest is 2 and the "
               "stage keeps 2"},
        Broken{kReplicas,
               {{"0G@1", "0G"}},
               "0G names no version; want the one that its update makes"}));

INSTANTIATE_TEST_SUITE_P(
    Staleness, BrokenContinuousTest,
    ::testing::Values(
        Broken{kPipedreamText,
               {{"versions 1/1 1/0", "versions 1/0 1/0"}},
               "staleness r-1@-1: stage 0 has version rule 1/0, want 1/1 by "
               "the schedule's policy"},
        Broken{kPipedreamText,
               {{"policy stash", "policy double_buffer"}},
               "stage 1 has version rule 1/0, want 1/1"},
        Broken{kPipedreamText,
               {{"policy stash", "policy vertical"}},
               "stage 1 has version rule 1/0, want 1/1"},
        Broken{kPipedreamText,
               {{"policy stash", "policy grouped"}},
               "stage 1 has version rule 1/0, want 1/1"},
        Broken{kPipedreamText,
               {{"period\nr0: 0F2@1", "period\nr0: 0F2@0"}},
               "0F2@0 reads version 0, want 1 by the stage's rule"},
        Broken{kReplicas,
               {{"versions 2/0", "versions 2/2"}},
               "stage 0 has version rule 2/2, want 2/0"}));

INSTANTIATE_TEST_SUITE_P(
    UpdateComplete, BrokenContinuousTest,
    ::testing::Values(
        Broken{kPipedreamText,
               {{"0B0@0 0U@1", "0U@1 0B0@0"}},
               "update_complete r0@5: 0U@1 sums 0 of its microbatches, want 1"},
        Broken{kPipedreamText,
               {{"1U@1", "1U@2"}},
               "update_complete r1@4: 1U@2 comes after version 0; want 1"},
        Broken{kPipedreamText,
               {{"epilogue\nr0: 0RB1[h<r1] 0B1@0 0U@2",
                 "epilogue\nr0: 0RB1[h<r1] 0B1@0"}},
               "update_complete r0@-1: 0U@2 is missing"},
        Broken{kReplicas,
               {{"0G@1 0U@1", "0U@1 0G@1"}},
               "0U@1 has no G of its version before it"},
        Broken{kReplicas, {{"0G@1 ", ""}}, "0G@1 is missing"},
        Broken{kPipedreamText,
               {{"0U@1", "0G@1 0U@1"}},
               "0G@1 reduces a stage that is on this rank alone"}));

INSTANTIATE_TEST_SUITE_P(
    TiedWeight, BrokenContinuousTest,
    ::testing::Values(
        Broken{kTied,
               {{"0RB*@1[w<r1] 0U@1", "0U@1 0RB*@1[w<r1]"}},
               "tied_weight r0@7: 0U@1 has no 0RB*@1 of w before it"},
        Broken{kTied,
               {{"0RB*@1[w<r1] 0U@1", "0RB*@1[w<r1] 0RB*@2[w<r1] 0U@1"},
                {"0RB*@2[w<r1] ", ""}},
               "tied_weight r0@8: 0RB*@2[w<r1] comes before 0U@1"},
        Broken{kTied,
               {{"0U@1 0SF*@1[w>r1]", "0SF*@1[w>r1] 0U@1"}},
               "0SF*@1[w>r1] is not sent right after its update; the newest "
               "version is 0"},
        Broken{kTied,
               {{"0SF*@0", "0SF*"}},
               "0SF*[w>r1] names no version; want that of the update"},
        Broken{kTied,
               {{"1B0@0 1SB0[h>r0] 1SB*@1[w>r0]",
                 "1SB*@1[w>r0] 1B0@0 1SB0[h>r0]"}},
               "tied_weight r1@2: 1SB*@1[w>r0] comes before the backward "
               "1B0@0"},
        Broken{kTied,
               {{"1SB*@1[w>r0] 1U@1", "1U@1 1SB*@1[w>r0]"}},
               "1SB*@1[w>r0] is out of turn; the stage's newest version is 1"},
        Broken{kTied,
               {{"period", "period"}, {"1RF*@0[w<r0] 1F1@0", "1F1@0"}},
               "reads version 1 of w, which has not come; the newest there is "
               "0"},
        Broken{kTied,
               {{"1RF*@1[w<r0] 1RF*@2[w<r0]", "1RF*@2[w<r0] 1RF*@1[w<r0]"}},
               "1RF*@2[w<r0] comes out of turn, after version 0"},
        Broken{kTied,
               {{" 1RF*@1[w<r0] 1RF*@2[w<r0]", " 1RF*@1[w<r0]"}},
               "tied_weight r1@-1: version 2 of w does not come; the stage's "
               "newest is 2"},
        Broken{kTied,
               {{"1SB*@1[w>r0] 1U@1", "1SB*@1[w>r0] 1U@1 1RF*@0[w<r0]"},
                {"1RF*@0[w<r0] 1F1@0 1B1@0", "1RF*@1[w<r0] 1F1@0 1B1@0"},
                {"1RF*@0[w<r0] 1F1@0 1B1@0",
                 "1RF*@1[w<r0] 1RF*@2[w<r0] 1F1@0 1B1@0"},
                {"1RF*@1[w<r0] 1RF*@2[w<r0]\n", "\n"}},
               "1F1@0 reads version 0 of w, whose place version 2 has taken"},
        Broken{kTied,
               {{"0SF*@1[w>r1]", ""}},
               "comm_pairing r1@13: 1RF*@1[w<r0] has no send"}));

INSTANTIATE_TEST_SUITE_P(
    OtherRules, BrokenContinuousTest,
    ::testing::Values(
        Broken{kPipedreamText,
               {{"0B0@0 0U@1", "0B0@0 0U@1 N"}},
               "complete r0@7: N stands in a continuous schedule"},
        Broken{kPipedreamText,
               {{"versions 1/1 1/0", "versions 2/1 1/0"}},
               "placement r-1@-1: stage 0 updates after every 2 microbatches"},
        Broken{kReplicas,
               {{"r0: 0F0@0 0B0@0", "r0: 0F0@0 0B1@0"},
                {"0F1@0 0B1@0", "0F1@0 0B0@0"}},
               "complete r0@1: 0B1@0 has its F on r1; want it on the same "
               "rank"},
        Broken{kReplicas,
               {{"r0: 0F0@0 0B0@0 0G@1 0U@1", "r0: 0F0@0 0B0@0"}},
               "deadlock_free r1@3: r1 at 0U@1 waits for 0G of r0, which "
               "never comes"}));

TEST(VerifyContinuousTest, ViolationsOfARepetitionAreShownInItsRun) {
  const Schedule schedule = ReadSchedule(
      Edited(kPipedreamText, {{"period\nr0: 0F2@1", "period\nr0: 0F2@0"}}));
  const std::vector<Violation> violations = Verify(schedule);
  ASSERT_FALSE(violations.empty());
  EXPECT_GT(violations[0].periods, 0);
  EXPECT_THAT(Describe(schedule, violations[0]), HasSubstr(">0B2@1<"));
}

TEST(VerifyContinuousTest, SectionsThatDoNotFitAreAViolation) {
  Schedule schedule = ReadSchedule(kPipedreamText);
  schedule.period.pop_back();
  EXPECT_THAT(Lines(Verify(schedule)), ElementsAre(HasSubstr("placement")));
  schedule = ReadSchedule(kPipedreamText);
  schedule.versions.clear();
  EXPECT_THAT(Lines(Verify(schedule)),
              ElementsAre(HasSubstr("0 version rules, want 2")));
  schedule = ReadSchedule(kPipedreamText);
  schedule.policy = WeightPolicy::kFlush;
  EXPECT_THAT(Lines(Verify(schedule)),
              ElementsAre(HasSubstr("a flush has a period")));
  schedule = ReadSchedule(kPipedreamText);
  schedule.num_microbatches = 0;
  EXPECT_THAT(Lines(Verify(schedule)),
              ElementsAre(HasSubstr("0 microbatches, want at least 1")));
}

}  // namespace
}  // namespace penstock
