#include "schedule/generators/continuous.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> TextOf(const RankLists& lists) {
  std::vector<std::string> texts;
  for (const auto& actions : lists) {
    texts.push_back(
        absl::StrJoin(actions, " ", [](std::string* out, const Action& action) {
          absl::StrAppend(out, action.op == Op::kForward ? "F" : "B",
                          action.microbatch.value());
        }));
  }
  return texts;
}

// One stage a rank, `m` microbatches a period, and these rules.
Schedule Outline(int m, std::vector<VersionRule> versions) {
  Schedule outline{.name = "toy",
                   .num_microbatches = m,
                   .policy = WeightPolicy::kStash,
                   .versions = std::move(versions)};
  for (int rank = 0; rank < static_cast<int>(outline.versions.size()); ++rank) {
    outline.placement.push_back({RankId(rank)});
  }
  return outline;
}

// Rank r runs `warmup[r]` forwards, then forward and backward in turn.
RunWriter Toy(int m, std::vector<int> warmup) {
  return [m, warmup](int periods) {
    RankLists lists(warmup.size());
    for (size_t rank = 0; rank < warmup.size(); ++rank) {
      const StageId stage(static_cast<int>(rank));
      for (int i = 0; i < m * periods + warmup[rank]; ++i) {
        if (i < m * periods) {
          lists[rank].push_back(Forward(stage, MicrobatchId(i)));
        }
        if (i >= warmup[rank]) {
          lists[rank].push_back(
              Backward(stage, MicrobatchId(i - warmup[rank])));
        }
      }
    }
    return lists;
  };
}

TEST(CutRunTest, PeriodsHoldTheSameBackwardsOnEveryRank) {
  const absl::StatusOr<Schedule> cut =
      CutRun(Outline(2, {{1, 2}, {1, 0}}), 1, Toy(2, {2, 0}));
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_THAT(TextOf(cut->ranks),
              ElementsAre("F0 F1 F2 B0 F3 B1", "F0 B0 F1 B1"));
  EXPECT_THAT(TextOf(cut->period), ElementsAre("F4 B2 F5 B3", "F2 B2 F3 B3"));
  EXPECT_THAT(TextOf(cut->epilogue), ElementsAre("B2 B3", "F2 B2 F3 B3"));
}

TEST(CutRunTest, PrologueLastsWhileARuleHoldsVersionsAtZero) {
  const absl::StatusOr<Schedule> cut =
      CutRun(Outline(2, {{2, 3}}), 0, Toy(2, {0}));
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_THAT(TextOf(cut->ranks),
              ElementsAre("F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5"));
  EXPECT_THAT(TextOf(cut->period), ElementsAre("F6 B6 F7 B7"));
  EXPECT_THAT(TextOf(cut->epilogue), ElementsAre(""));
}

TEST(CutRunTest, NothingToFillIsAPeriodOnly) {
  const absl::StatusOr<Schedule> cut =
      CutRun(Outline(1, {{1, 0}}), 0, Toy(1, {0}));
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_THAT(TextOf(cut->ranks), ElementsAre(""));
  EXPECT_THAT(TextOf(cut->period), ElementsAre("F0 B0"));
  EXPECT_THAT(TextOf(cut->epilogue), ElementsAre(""));
}

// A period whose forward reads the initial weights would have no update before
// it, and later ones need one.
TEST(CutRunTest, ReplicasPeriodsBeginWhenUpdatesAreRead) {
  Schedule outline = Outline(1, {{1, 0}});
  outline.placement[0] = {RankId(0), RankId(1)};
  const absl::StatusOr<Schedule> cut = CutRun(outline, 0, [](int periods) {
    RankLists lists = Toy(1, {0})(periods);
    lists.emplace_back();
    return lists;
  });
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_THAT(TextOf(cut->ranks), ElementsAre("F0 B0", ""));
  EXPECT_THAT(TextOf(cut->period), ElementsAre("F1 B1", ""));
}

TEST(CutRunTest, TooShortAFillIsNoticed) {
  const absl::StatusOr<Schedule> cut =
      CutRun(Outline(1, {{1, 1}}), 0, Toy(1, {2}));
  EXPECT_EQ(cut.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(cut.status().message()), HasSubstr("rank 0"));
}

TEST(CutRunTest, ARunThatDoesNotRepeatIsNoticed) {
  const RunWriter uneven = [](int periods) {
    RankLists lists(1);
    for (int b = 0; b < (periods == 3 ? 4 : periods); ++b) {
      lists[0].push_back(Forward(StageId(0), MicrobatchId(b)));
      lists[0].push_back(Backward(StageId(0), MicrobatchId(b)));
    }
    return lists;
  };
  EXPECT_THAT(
      std::string(CutRun(Outline(1, {{1, 1}}), 0, uneven).status().message()),
      HasSubstr("not that of the run"));
  const RunWriter shrinking = [](int periods) {
    return RankLists{std::vector<Action>(
        10 - periods, Backward(StageId(0), MicrobatchId(0)))};
  };
  EXPECT_THAT(
      std::string(
          CutRun(Outline(1, {{1, 1}}), 0, shrinking).status().message()),
      HasSubstr("no room for a period"));
}

TEST(CutRunTest, TooLongAPrologueIsRefusedBeforeItIsWritten) {
  const RunWriter never = [](int periods) {
    ADD_FAILURE();
    return RankLists();
  };
  const absl::StatusOr<Schedule> cut =
      CutRun(Outline(1, {{1, 60'000'000}}), 0, never);
  EXPECT_EQ(cut.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(cut.status().message()),
              HasSubstr("want fewer stages"));
}

}  // namespace
}  // namespace penstock
