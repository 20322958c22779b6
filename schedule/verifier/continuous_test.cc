// The rules that continuous schedules have to themselves.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// PipeDream on two ranks.
constexpr char kStraight[] = R"(penstock-schedule 1
name by_hand
microbatches 1
policy stash
placement r0 r1
versions 1/1 1/0
edge activation h 0>1
prologue
r0: 0F0@0 0SF0[h>r1] 0F1@0 0SF1[h>r1] 0RB0[h<r1] 0B0@0 0U@1
r1: 1RF0[h<r0] 1F0@0 1B0@0 1SB0[h>r0] 1U@1
period
r0: 0F2@1 0SF2[h>r1] 0RB1[h<r1] 0B1@0 0U@2
r1: 1RF1[h<r0] 1F1@1 1B1@1 1SB1[h>r0] 1U@2
epilogue
r0: 0RB1[h<r1] 0B1@0 0U@2
r1: 1RF1[h<r0] 1F1@1 1B1@1 1SB1[h>r0] 1U@2
)";

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

Schedule Read(const std::string& text) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

// Replaces each first occurrence of a pair's left side after the previous one.
std::string With(
    std::string text,
    const std::vector<std::pair<std::string, std::string>>& edits) {
  size_t at = 0;
  for (const auto& [from, to] : edits) {
    at = text.find(from, at);
    EXPECT_NE(at, std::string::npos) << from;
    if (at == std::string::npos) return text;
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

std::vector<std::string> Lines(const std::vector<Violation>& violations) {
  std::vector<std::string> lines;
  for (const Violation& v : violations) {
    lines.push_back(absl::StrCat(v.rule, " r", v.rank.value(), "@", v.position,
                                 ": ", v.message));
  }
  return lines;
}

TEST(VerifyContinuousTest, SoundSchedulesHaveNoViolations) {
  EXPECT_THAT(Lines(Verify(Read(kStraight))), IsEmpty());
  EXPECT_THAT(Lines(Verify(Read(kReplicas))), IsEmpty());
  for (const int rank : {0, 1}) {
    EXPECT_THAT(Lines(VerifyRank(Read(kStraight), RankId(rank))), IsEmpty());
  }
}

struct Broken {
  const char* base;
  std::vector<std::pair<std::string, std::string>> edits;
  const char* line;
};

class BrokenContinuousTest : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenContinuousTest, RuleIsNamedWithPlaceAndReason) {
  const Schedule schedule = Read(With(GetParam().base, GetParam().edits));
  EXPECT_THAT(Lines(Verify(schedule)), Contains(HasSubstr(GetParam().line)));
}

INSTANTIATE_TEST_SUITE_P(
    WeightVersion, BrokenContinuousTest,
    ::testing::Values(
        Broken{kStraight,
               {{"0B0@0", "0B0@1"}},
               "weight_version r0@5: 0B0@1 reads another version than 0F0@0"},
        Broken{kStraight,
               {{"1F0@0", "1F0"}},
               "weight_version r1@1: 1F0 names no version"},
        Broken{kStraight,
               {{"0F1@0", "0F1@1"}},
               "weight_version r0@2: 0F1@1 reads a version that no update "
               "before it makes; the newest "
               "there is 0"},
        Broken{kStraight,
               {{" 0U@1", " 0U"}},
               "weight_version r0@6: 0U names no version"},
        Broken{kStraight,
               {{"period\nr0: ", "period\nr0: 0U@2 "}, {" 0U@2", ""}},
               "0B1@0 reads a version that is gone: the newest is 2 and the "
               "stage keeps 2"},
        Broken{kReplicas,
               {{"0G@1", "0G"}},
               "0G names no version; want the one that its update makes"}));

INSTANTIATE_TEST_SUITE_P(
    Staleness, BrokenContinuousTest,
    ::testing::Values(
        Broken{kStraight,
               {{"versions 1/1 1/0", "versions 1/0 1/0"}},
               "staleness r-1@-1: stage 0 has version rule 1/0, want 1/1 by "
               "the schedule's policy"},
        Broken{kStraight,
               {{"policy stash", "policy double_buffer"}},
               "stage 1 has version rule 1/0, want 1/1"},
        Broken{kStraight,
               {{"policy stash", "policy vertical"}},
               "stage 1 has version rule 1/0, want 1/1"},
        Broken{kStraight,
               {{"policy stash", "policy grouped"}},
               "stage 1 has version rule 1/0, want 1/1"},
        Broken{kStraight,
               {{"period\nr0: 0F2@1", "period\nr0: 0F2@0"}},
               "0F2@0 reads version 0, want 1 by the stage's rule"},
        Broken{kReplicas,
               {{"versions 2/0", "versions 2/2"}},
               "stage 0 has version rule 2/2, want 2/0"}));

INSTANTIATE_TEST_SUITE_P(
    UpdateComplete, BrokenContinuousTest,
    ::testing::Values(
        Broken{kStraight,
               {{"0B0@0 0U@1", "0U@1 0B0@0"}},
               "update_complete r0@5: 0U@1 sums 0 of its microbatches, want 1"},
        Broken{kStraight,
               {{"1U@1", "1U@2"}},
               "update_complete r1@4: 1U@2 comes after version 0; want 1"},
        Broken{kStraight,
               {{"epilogue\nr0: 0RB1[h<r1] 0B1@0 0U@2",
                 "epilogue\nr0: 0RB1[h<r1] 0B1@0"}},
               "update_complete r0@-1: 0U@2 is missing"},
        Broken{kReplicas,
               {{"0G@1 0U@1", "0U@1 0G@1"}},
               "0U@1 has no G of its version before it"},
        Broken{kReplicas, {{"0G@1 ", ""}}, "0G@1 is missing"},
        Broken{kStraight,
               {{"0U@1", "0G@1 0U@1"}},
               "0G@1 reduces a stage that is on this rank alone"}));

INSTANTIATE_TEST_SUITE_P(
    OtherRules, BrokenContinuousTest,
    ::testing::Values(
        Broken{kStraight,
               {{"0B0@0 0U@1", "0B0@0 0U@1 N"}},
               "complete r0@7: N stands in a continuous schedule"},
        Broken{kStraight,
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
  const Schedule schedule =
      Read(With(kStraight, {{"period\nr0: 0F2@1", "period\nr0: 0F2@0"}}));
  const std::vector<Violation> violations = Verify(schedule);
  ASSERT_FALSE(violations.empty());
  EXPECT_GT(violations[0].periods, 0);
  EXPECT_THAT(Describe(schedule, violations[0]), HasSubstr(">0B2@1<"));
}

TEST(VerifyContinuousTest, SectionsThatDoNotFitAreAViolation) {
  Schedule schedule = Read(kStraight);
  schedule.period.pop_back();
  EXPECT_THAT(Lines(Verify(schedule)), ElementsAre(HasSubstr("placement")));
  schedule = Read(kStraight);
  schedule.versions.clear();
  EXPECT_THAT(Lines(Verify(schedule)),
              ElementsAre(HasSubstr("0 version rules, want 2")));
  schedule = Read(kStraight);
  schedule.policy = WeightPolicy::kFlush;
  EXPECT_THAT(Lines(Verify(schedule)),
              ElementsAre(HasSubstr("a flush has a period")));
  schedule = Read(kStraight);
  schedule.num_microbatches = 0;
  EXPECT_THAT(Lines(Verify(schedule)),
              ElementsAre(HasSubstr("0 microbatches, want at least 1")));
}

}  // namespace
}  // namespace penstock
