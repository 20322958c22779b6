#include "client/schedules/comparison.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

ComparisonRequest Request(const std::vector<std::string>& sources, int ranks,
                          int microbatches) {
  ComparisonRequest request;
  request.sources = sources;
  request.generator.num_ranks = ranks;
  request.generator.num_microbatches = microbatches;
  return request;
}

TEST(CompareTest, RunsAreInTheOrderAskedFor) {
  const auto all = Compare(Request({"one_f_one_b", "naive"}, 2, 4));
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2u);
  // (m + p - 1) and m p slots of one F and one B of two.
  EXPECT_EQ((*all)[0].run->report.summary.makespan, 15);
  EXPECT_EQ((*all)[1].run->report.summary.makespan, 24);
}

TEST(CompareTest, AFailureIsTheAnswerOrARowThatSaysWhy) {
  ComparisonRequest request = Request({"chimera", "gpipe"}, 3, 6);
  EXPECT_TRUE(absl::IsInvalidArgument(Compare(request).status()));
  request.keep_failures = true;
  const auto all = Compare(request);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_FALSE((*all)[0].run.has_value());
  EXPECT_THAT((*all)[0].status.message(), Not(IsEmpty()));
  EXPECT_TRUE((*all)[1].run.has_value());
}

TEST(CompareTest, AutoKeepsToItsCapAndSaysWhatItChose) {
  ComparisonRequest request = Request({"auto"}, 4, 8);
  request.cap.in_flight = 2;
  const auto all = Compare(request);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT((*all)[0].notes, ElementsAre(HasSubstr("chose ")));
  for (const RankSummary& rank : (*all)[0].run->report.summary.ranks) {
    EXPECT_LE(rank.peak_in_flight, 2);
  }
}

TEST(CompareTest, RecomputeCostsAForwardMore) {
  ComparisonRequest request = Request({"gpipe"}, 1, 2);
  request.lowering.recompute = "always";
  const auto all = Compare(request);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ((*all)[0].run->report.summary.makespan, 8);
}

TEST(CompareTest, LoweredPairsWaitForNothingThatTheirSecondTakes) {
  ComparisonRequest request = Request({"dual_pipe_v"}, 8, 32);
  request.lowering.whole = true;
  const auto all = Compare(request);
  ASSERT_TRUE(all.ok()) << all.status();
  // The published bubble (docs/decisions/006).
  EXPECT_NEAR((*all)[0].run->report.summary.sync_bubble, 0.035, 0.0006);
}

}  // namespace
}  // namespace penstock
