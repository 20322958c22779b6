#include "models/graph/step_lengths.h"

#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

TEST(StepLengthsTest, EachChoiceIsAsLikelyAsItIsOften) {
  const StepLengths lengths(7, {8, 32, 8, 16});
  std::map<int64_t, int> count;
  for (int64_t step = 0; step < 4000; ++step) ++count[lengths.LengthOf(step)];
  EXPECT_EQ(count.size(), 3u);
  EXPECT_NEAR(count[8], 2000, 150);
  EXPECT_NEAR(count[16], 1000, 150);
  EXPECT_NEAR(count[32], 1000, 150);
}

TEST(StepLengthsTest, ALengthIsAFunctionOfSeedAndStep) {
  const StepLengths one(7, {4, 6, 8});
  const StepLengths again(7, {4, 6, 8});
  const StepLengths other(8, {4, 6, 8});
  int differing = 0;
  for (int64_t step = 99; step >= 0; --step) {
    EXPECT_EQ(one.LengthOf(step), again.LengthOf(step));
    EXPECT_EQ(one.OffsetOf(step, 3), again.OffsetOf(step, 3));
    differing += one.LengthOf(step) != other.LengthOf(step);
  }
  EXPECT_GT(differing, 30);
}

TEST(StepLengthsTest, DistinctLengthsAreAscending) {
  const StepLengths lengths(1, {8, 4, 8, 6, 4});
  EXPECT_THAT(lengths.Distinct(), ElementsAre(4, 6, 8));
  EXPECT_EQ(lengths.longest(), 8);
}

TEST(StepLengthsTest, AShorterSampleBeginsAnywhereThatItFits) {
  const StepLengths lengths(3, {5, 8});
  std::set<int64_t> offsets;
  for (int64_t step = 0; step < 40; ++step) {
    for (int64_t index = 0; index < 10; ++index) {
      const int64_t offset = lengths.OffsetOf(step, index);
      EXPECT_GE(offset, 0);
      EXPECT_LE(offset + lengths.LengthOf(step), lengths.longest());
      if (lengths.LengthOf(step) == 5) offsets.insert(offset);
    }
  }
  EXPECT_THAT(offsets, ElementsAre(0, 1, 2, 3));
}

TEST(StepLengthsTest, OneLengthIsThatOfEveryStepFromTheSamplesBeginning) {
  const StepLengths lengths(3, {5});
  for (int64_t step = 0; step < 40; ++step) {
    EXPECT_EQ(lengths.LengthOf(step), 5);
    EXPECT_EQ(lengths.OffsetOf(step, step), 0);
  }
}

}  // namespace
}  // namespace penstock
