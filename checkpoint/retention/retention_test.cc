#include "checkpoint/retention/retention.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<int64_t> KeptSteps(
    const std::vector<RetentionCandidate>& candidates,
    const RetentionPolicy& policy) {
  const auto verdicts = ApplyRetention(candidates, policy);
  EXPECT_EQ(verdicts.size(), candidates.size());
  std::vector<int64_t> kept;
  for (size_t i = 0; i < candidates.size(); ++i) {
    EXPECT_NE(verdicts[i].reason, "");
    if (verdicts[i].keep) kept.push_back(candidates[i].step);
  }
  return kept;
}

TEST(RetentionTest, TheNewestStay) {
  EXPECT_THAT(KeptSteps({{10}, {40}, {20}, {30}}, {.keep_last = 2}),
              ElementsAre(40, 30));
  EXPECT_THAT(KeptSteps({{10}}, {.keep_last = 2}), ElementsAre(10));
  EXPECT_THAT(KeptSteps({}, {.keep_last = 1}), IsEmpty());
}

TEST(RetentionTest, MultiplesStay) {
  EXPECT_THAT(KeptSteps({{0}, {50}, {100}, {150}, {200}, {250}},
                        {.keep_last = 1, .keep_every_steps = 100}),
              ElementsAre(0, 100, 200, 250));
}

TEST(RetentionTest, TheBestStayWhateverTheirAge) {
  EXPECT_THAT(KeptSteps({{.step = 10, .evaluation_loss = 2.0},
                         {.step = 20, .evaluation_loss = 1.0},
                         {.step = 30, .evaluation_loss = NAN},
                         {.step = 40},
                         {.step = 50, .evaluation_loss = 3.0}},
                        {.keep_last = 1, .keep_best = 2}),
              ElementsAre(10, 20, 50));
}

TEST(RetentionTest, OfEqualLossesTheOlderIsTheBest) {
  EXPECT_THAT(KeptSteps({{.step = 10, .evaluation_loss = 1.0},
                         {.step = 20, .evaluation_loss = 1.0},
                         {.step = 30}},
                        {.keep_last = 1, .keep_best = 1}),
              ElementsAre(10, 30));
}

TEST(RetentionTest, PinsStay) {
  EXPECT_THAT(
      KeptSteps({{.step = 10, .pinned = true}, {20}, {30}}, {.keep_last = 1}),
      ElementsAre(10, 30));
}

TEST(RetentionTest, OfOneStepTheNewerEpochStays) {
  const auto verdicts = ApplyRetention({{.step = 10, .epoch = 2},
                                        {.step = 10, .epoch = 1},
                                        {.step = 5, .epoch = 1}},
                                       {.keep_last = 2});
  EXPECT_TRUE(verdicts[0].keep);
  EXPECT_FALSE(verdicts[1].keep);
  EXPECT_EQ(verdicts[1].reason, "a newer epoch has the same step");
  EXPECT_TRUE(verdicts[2].keep);
}

TEST(RetentionTest, TheFirstReasonIsGiven) {
  const auto verdicts =
      ApplyRetention({{.step = 100, .pinned = true}, {200}, {100'000}, {7}},
                     {.keep_last = 1, .keep_every_steps = 100});
  EXPECT_EQ(verdicts[0].reason, "pinned");
  EXPECT_EQ(verdicts[1].reason, "one of every 100 steps");
  EXPECT_EQ(verdicts[2].reason, "among the newest 1");
  EXPECT_EQ(verdicts[3].reason, "no rule keeps it");
}

}  // namespace
}  // namespace penstock
