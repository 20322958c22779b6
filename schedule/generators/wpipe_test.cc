#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/version_walk.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// "F0.3": forward of group 0 on microbatch 3.
std::string TextOf(const std::vector<Action>& actions, int ranks) {
  return absl::StrJoin(
      actions, " ", [&](std::string* out, const Action& action) {
        absl::StrAppend(out, action.op == Op::kForward ? "F" : "B",
                        action.stage.value() / ranks, ".",
                        action.microbatch.value());
      });
}

Schedule Make(int p, int v, int m) {
  const absl::StatusOr<Schedule> schedule = Generate("wpipe", {p, v * p, m});
  return schedule.value();
}

TEST(WpipeTest, RowsOfTheDesignAtFourRanks) {
  const RankLists run = Unroll(Make(4, 2, 4), 2)->ranks;
  EXPECT_TRUE(
      absl::StartsWith(TextOf(run[0], 4),
                       "F0.0 F0.1 F0.2 F0.3 F1.0 F1.1 F1.2 F1.3 "
                       "B1.0 F0.4 B1.1 F0.5 B1.2 F0.6 B1.3 F0.7 "
                       "B0.0 F1.4 B0.1 F1.5 B0.2 F1.6 B0.3 F1.7 B1.4 F0.8 "))
      << TextOf(run[0], 4);
  EXPECT_TRUE(
      absl::StartsWith(TextOf(run[3], 4),
                       "F0.0 F0.1 F0.2 F0.3 F1.0 "
                       "B1.0 F1.1 B1.1 F1.2 B1.2 F1.3 B1.3 F0.4 "
                       "B0.0 F0.5 B0.1 F0.6 B0.2 F0.7 B0.3 F1.4 B1.4 F1.5 "))
      << TextOf(run[3], 4);
}

TEST(WpipeTest, DrainFinishesTheBackwardsInTheirOrder) {
  const Schedule s = Make(4, 2, 4);
  EXPECT_EQ(TextOf(s.epilogue[0], 4),
            "F1.7 B1.4 B1.5 B1.6 B1.7 B0.4 B0.5 B0.6 B0.7");
}

TEST(WpipeTest, OnlyTheFirstHalfOfTheGroupsIsOld) {
  EXPECT_THAT(Make(2, 2, 2).versions,
              ElementsAre(VersionRule{2, 1}, VersionRule{2, 1},
                          VersionRule{2, 0}, VersionRule{2, 0}));
  const Schedule four = Make(2, 4, 3);
  EXPECT_THAT(four.versions, ElementsAre(VersionRule{3, 1}, VersionRule{3, 1},
                                         VersionRule{3, 1}, VersionRule{3, 1},
                                         VersionRule{3, 0}, VersionRule{3, 0},
                                         VersionRule{3, 0}, VersionRule{3, 0}));
}

// Design: weight versions, v = 2: group 0 reads max(t-1, 0), group 1 reads t.
TEST(WpipeTest, VersionsAreThoseOfTheTable) {
  for (int p = 1; p <= 6; ++p) {
    for (int m = std::max(1, p - 1); m <= 8; ++m) {
      const Schedule s = Make(p, 2, m);
      for (int stage = 0; stage < 2 * p; ++stage) {
        for (int b = 0; b < 5 * m; ++b) {
          const int t = b / m;
          ASSERT_EQ(VersionOf(s, StageId(stage), MicrobatchId(b)),
                    stage < p ? std::max(t - 1, 0) : t);
        }
      }
    }
  }
}

TEST(WpipeTest, OneGroupIsPipedream2bw) {
  for (int p = 2; p <= 6; ++p) {
    Schedule one = Make(p, 1, p);
    const absl::StatusOr<Schedule> two = Generate("pipedream_2bw", {p, p, p});
    ASSERT_TRUE(two.ok()) << two.status();
    EXPECT_EQ(one.ranks, two->ranks);
    EXPECT_EQ(one.period, two->period);
    EXPECT_EQ(one.epilogue, two->epilogue);
    EXPECT_EQ(one.versions, two->versions);
  }
}

TEST(WpipeTest, OneRankAndOneMicrobatchWork) {
  const Schedule s = Make(1, 2, 1);
  EXPECT_EQ(TextOf(s.ranks[0], 1), "F0.0 F1.0 B1.0 F0.1 B0.0");
  EXPECT_EQ(TextOf(s.period[0], 1), "F1.1 B1.1 F0.2 B0.1");
  EXPECT_EQ(TextOf(s.epilogue[0], 1), "F1.1 B1.1 B0.1");
  EXPECT_THAT(s.versions, ElementsAre(VersionRule{1, 1}, VersionRule{1, 0}));
}

TEST(WpipeTest, HasTwoGroupsUnlessToldOtherwise) {
  const absl::StatusOr<Schedule> s = Generate("wpipe", {4, 0, 4});
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->num_stages(), 8);
  EXPECT_EQ(s->policy, WeightPolicy::kGrouped);
}

TEST(WpipeTest, TooFewMicrobatchesNamesThoseThatDo) {
  const absl::StatusOr<Schedule> s = Generate("wpipe", {6, 12, 4});
  EXPECT_EQ(s.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(s.status().message()),
              HasSubstr("at least 5 microbatches, got 4; want 6 or more"));
}

}  // namespace
}  // namespace penstock
