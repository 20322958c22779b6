// pipedream, pipedream_vertical and pipedream_2bw: the same order under three
// rules of weight versions.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

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
using Parameters = std::map<std::string, std::string>;

std::string TextOf(const std::vector<Action>& actions) {
  return absl::StrJoin(
      actions, " ", [](std::string* out, const Action& action) {
        absl::StrAppend(out, action.op == Op::kForward ? "F" : "B",
                        action.microbatch.value());
      });
}

Schedule Make(absl::string_view name, int ranks, int stages, int m,
              const Parameters& parameters = {}) {
  const absl::StatusOr<Schedule> schedule =
      Generate(name, {ranks, stages, m, parameters});
  return schedule.value();
}

std::string ErrorOf(absl::string_view name, int ranks, int stages, int m,
                    const Parameters& parameters = {}) {
  const absl::StatusOr<Schedule> schedule =
      Generate(name, {ranks, stages, m, parameters});
  EXPECT_EQ(schedule.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(schedule.status().message());
}

TEST(PipedreamTest, TwoOneOneIsPrologueOfOneRoundPeriodAndDrain) {
  const Schedule s = Make("pipedream", 4, 3, 2, {{"replicas", "2,1,1"}});
  EXPECT_EQ(s.policy, WeightPolicy::kStash);
  EXPECT_EQ(s.num_microbatches, 2);
  EXPECT_EQ(TextOf(s.ranks[0]), "F0 F2 B0");
  EXPECT_EQ(TextOf(s.period[0]), "F4 B2");
  EXPECT_EQ(TextOf(s.epilogue[0]), "B2");
  EXPECT_EQ(TextOf(s.ranks[1]), "F1 F3 B1");
  EXPECT_EQ(TextOf(s.ranks[2]), "F0 F1 B0 F2 B1");
  EXPECT_EQ(TextOf(s.period[2]), "F3 B2 F4 B3");
  EXPECT_EQ(TextOf(s.epilogue[2]), "F3 B2 B3");
  EXPECT_EQ(TextOf(s.ranks[3]), "F0 B0 F1 B1");
  EXPECT_EQ(TextOf(s.period[3]), "F2 B2 F3 B3");
  EXPECT_EQ(TextOf(s.epilogue[3]), "F2 B2 F3 B3");
}

// The published order, whole: 8 microbatches.
TEST(PipedreamTest, TwoOneOneUnrollsToThePublishedRun) {
  const Schedule s = Make("pipedream", 4, 3, 2, {{"replicas", "2,1,1"}});
  const RankLists run = Unroll(s, 2)->ranks;
  EXPECT_EQ(TextOf(run[0]), "F0 F2 B0 F4 B2 F6 B4 B6");
  EXPECT_EQ(TextOf(run[1]), "F1 F3 B1 F5 B3 F7 B5 B7");
  EXPECT_EQ(TextOf(run[2]), "F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7");
  EXPECT_EQ(TextOf(run[3]), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7");
}

TEST(PipedreamTest, ReplicatedStagesUpdateOnceARound) {
  const Schedule s = Make("pipedream", 4, 3, 4, {{"replicas", "2,1,1"}});
  EXPECT_THAT(s.versions, ElementsAre(VersionRule{2, 1}, VersionRule{1, 1},
                                      VersionRule{1, 0}));
}

TEST(PipedreamTest, AnExtraRoundMakesOnlyReplicatedStagesOlder) {
  const Schedule s = Make("pipedream", 4, 3, 4,
                          {{"replicas", "2,1,1"}, {"extra_round", "yes"}});
  EXPECT_THAT(s.versions, ElementsAre(VersionRule{2, 2}, VersionRule{1, 1},
                                      VersionRule{1, 0}));
  const Schedule straight =
      Make("pipedream", 3, 3, 1, {{"extra_round", "yes"}});
  EXPECT_EQ(straight.versions, Make("pipedream", 3, 3, 1).versions);
}

TEST(PipedreamTest, OneRankHasNothingToFill) {
  for (const char* name : {"pipedream", "pipedream_vertical"}) {
    const Schedule s = Make(name, 1, 1, 2);
    EXPECT_EQ(TextOf(s.ranks[0]), "");
    EXPECT_EQ(TextOf(s.period[0]), "F0 B0 F1 B1");
    EXPECT_THAT(s.versions, ElementsAre(VersionRule{1, 0}));
  }
  const Schedule s = Make("pipedream_2bw", 1, 1, 2);
  EXPECT_EQ(TextOf(s.ranks[0]), "F0 B0 F1 B1");
  EXPECT_THAT(s.versions, ElementsAre(VersionRule{2, 1}));
}

TEST(PipedreamTest, APeriodOfOneMicrobatchIsOnePair) {
  const Schedule s = Make("pipedream", 4, 4, 1);
  EXPECT_EQ(TextOf(s.ranks[0]), "F0 F1 F2 F3 B0 F4 B1 F5 B2");
  EXPECT_EQ(TextOf(s.period[0]), "F6 B3");
  EXPECT_EQ(TextOf(s.epilogue[0]), "B3 B4 B5");
  EXPECT_EQ(TextOf(s.ranks[3]), "F0 B0 F1 B1 F2 B2");
  EXPECT_EQ(TextOf(s.period[3]), "F3 B3");
}

// Design: weight versions, the table's rows, with m, p and s spelled out.
TEST(PipedreamTest, VersionsAreThoseOfTheTable) {
  for (int p = 1; p <= 6; ++p) {
    for (int m = std::max(1, p - 1); m <= 7; ++m) {
      const Schedule stash = Make("pipedream", p, p, m);
      const Schedule vertical = Make("pipedream_vertical", p, p, m);
      const Schedule twice = Make("pipedream_2bw", p, p, m);
      for (int s = 0; s < p; ++s) {
        for (int b = 0; b < 5 * m; ++b) {
          const auto version = [&](const Schedule& schedule) {
            return VersionOf(schedule, StageId(s), MicrobatchId(b));
          };
          ASSERT_EQ(version(stash), std::max(0, b - (p - 1 - s)));
          ASSERT_EQ(version(vertical), std::max(0, b - (p - 1)));
          ASSERT_EQ(version(twice), std::max(b / m - 1, 0));
        }
      }
    }
  }
}

// Replicated: max(0, floor(b / R_s) - w_s).
TEST(PipedreamTest, VersionsOfReplicatedStagesCountRounds) {
  const Schedule s = Make("pipedream", 9, 3, 12, {{"replicas", "4,3,2"}});
  const int rounds[] = {2, 1, 0};
  const int replicas[] = {4, 3, 2};
  for (int stage = 0; stage < 3; ++stage) {
    for (int b = 0; b < 60; ++b) {
      EXPECT_EQ(VersionOf(s, StageId(stage), MicrobatchId(b)),
                std::max(0, b / replicas[stage] - rounds[stage]));
    }
  }
}

TEST(PipedreamTest, EveryPolicyHasItsName) {
  EXPECT_EQ(Make("pipedream_vertical", 2, 2, 1).policy,
            WeightPolicy::kVertical);
  EXPECT_EQ(Make("pipedream_2bw", 2, 2, 1).policy, WeightPolicy::kDoubleBuffer);
}

TEST(PipedreamTest, StagesLeftOpenFollowFromReplicas) {
  EXPECT_EQ(Make("pipedream", 4, 0, 2, {{"replicas", "2,1,1"}}).num_stages(),
            3);
  EXPECT_EQ(Make("pipedream", 4, 0, 2).num_stages(), 4);
  EXPECT_EQ(Make("pipedream_vertical", 4, 0, 2).num_stages(), 4);
}

TEST(PipedreamTest, AnUnevenRoundNamesTheNearestPeriods) {
  EXPECT_THAT(ErrorOf("pipedream", 4, 3, 3, {{"replicas", "2,1,1"}}),
              HasSubstr("multiple of 2, got 3; the nearest: 2 and 4"));
}

TEST(PipedreamTest, AHugePipelineIsRefused) {
  EXPECT_THAT(ErrorOf("pipedream", 8000, 8000, 1),
              HasSubstr("periods to fill, run and drain"));
}

TEST(Pipedream2bwTest, TooFewMicrobatchesNamesTheNearest) {
  EXPECT_THAT(ErrorOf("pipedream_2bw", 4, 4, 2),
              HasSubstr("at least 3 microbatches, got 2"));
  EXPECT_THAT(ErrorOf("pipedream_2bw", 4, 3, 2, {{"replicas", "1,2,1"}}),
              HasSubstr("at least 4 microbatches, got 2"));
}

TEST(Pipedream2bwTest, TakesExactlyPMinusOneMicrobatches) {
  for (int p = 2; p <= 12; ++p) {
    EXPECT_EQ(Make("pipedream_2bw", p, p, p - 1).num_microbatches, p - 1);
    if (p > 2) {
      EXPECT_THAT(ErrorOf("pipedream_2bw", p, p, p - 2),
                  HasSubstr(absl::StrCat("at least ", p - 1)));
    }
  }
}

TEST(PipedreamTest, ReplicasAreOneForEachStage) {
  EXPECT_THAT(ErrorOf("pipedream", 4, 3, 2, {{"replicas", "2,2"}}),
              HasSubstr("2 integers for 3 stages, want one for each stage"));
  EXPECT_THAT(ErrorOf("pipedream", 4, 3, 2, {{"replicas", "2,0,2"}}),
              HasSubstr("the nearest is 1"));
  EXPECT_THAT(ErrorOf("pipedream", 4, 3, 2), HasSubstr("takes 3 ranks"));
}

}  // namespace
}  // namespace penstock
