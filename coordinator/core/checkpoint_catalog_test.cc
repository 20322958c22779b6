#include "coordinator/core/checkpoint_catalog.h"

#include "gtest/gtest.h"

namespace penstock {
namespace {

CheckpointSpec Every(int64_t steps) {
  CheckpointSpec spec;
  spec.set_every_steps(steps);
  return spec;
}

TEST(NextSnapshotStepTest, IsTheNextMultipleBeyondTheOneBefore) {
  EXPECT_EQ(NextSnapshotStep(Every(5), {100, 0, 0, false}), 5);
  EXPECT_EQ(NextSnapshotStep(Every(5), {100, 5, 5, false}), 10);
  EXPECT_EQ(NextSnapshotStep(Every(5), {100, 7, 7, false}), 10);
  EXPECT_EQ(NextSnapshotStep(Every(1), {100, 7, 7, false}), 8);
}

TEST(NextSnapshotStepTest, NoRankIsPastIt) {
  EXPECT_EQ(NextSnapshotStep(Every(5), {100, 5, 9, false}), 10);
  EXPECT_EQ(NextSnapshotStep(Every(5), {100, 5, 10, false}), 15);
}

TEST(NextSnapshotStepTest, TheLastStepAlwaysHasOne) {
  EXPECT_EQ(NextSnapshotStep(Every(0), {100, 0, 0, false}), 100);
  EXPECT_EQ(NextSnapshotStep(Every(30), {100, 90, 91, false}), 100);
  EXPECT_EQ(NextSnapshotStep(Every(30), {100, 99, 105, false}), 100);
  EXPECT_EQ(NextSnapshotStep(Every(30), {100, 100, 100, false}), 0);
}

TEST(NextSnapshotStepTest, ALateOneWaitsForNoMultiple) {
  EXPECT_EQ(NextSnapshotStep(Every(50), {100, 0, 12, true}), 13);
  EXPECT_EQ(NextSnapshotStep(Every(0), {100, 0, 12, true}), 13);
  EXPECT_EQ(NextSnapshotStep(Every(0), {10, 0, 12, true}), 10);
}

TEST(SkippedIntervalsTest, CountsMultiplesInBetween) {
  EXPECT_EQ(SkippedIntervals(Every(5), 5, 10), 0);
  EXPECT_EQ(SkippedIntervals(Every(5), 5, 20), 2);
  EXPECT_EQ(SkippedIntervals(Every(5), 7, 20), 2);
  EXPECT_EQ(SkippedIntervals(Every(5), 0, 3), 0);
  EXPECT_EQ(SkippedIntervals(Every(0), 0, 100), 0);
}

}  // namespace
}  // namespace penstock
