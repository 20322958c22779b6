#include "coordinator/core/state.h"

#include "gtest/gtest.h"

namespace penstock {
namespace {

// A job whose row says that it is at `step`.
StoredState Stored(int64_t step) {
  StoredState stored;
  JobRow& row = stored.jobs.emplace_back().row;
  row.mutable_info()->set_id("a");
  row.mutable_info()->mutable_latest()->set_step(step);
  return stored;
}

StepRow Step(int64_t step, int64_t counted) {
  StepRow row;
  row.mutable_record()->set_step(step);
  row.mutable_record()->set_loss(2.5);
  row.mutable_totals()->set_steps(counted);
  return row;
}

TEST(RestoreStateTest, AStepIsNewerThanTheJobsRow) {
  StoredState stored = Stored(4);
  stored.jobs[0].last_step = Step(7, 6);
  const ClusterState state = RestoreState(stored, Timing());
  EXPECT_EQ(state.jobs.at("a").info.latest().step(), 7);
  EXPECT_EQ(state.jobs.at("a").info.latest().loss(), 2.5);
  EXPECT_EQ(state.jobs.at("a").totals.steps(), 6);
}

// Its ranks went on from step 5, whose reports were lost: they will not come.
TEST(RestoreStateTest, AStateInMemoryMayBeAheadOfTheNewestStep) {
  StoredState stored = Stored(5);
  stored.jobs[0].last_step = Step(4, 3);
  const ClusterState state = RestoreState(stored, Timing());
  EXPECT_EQ(state.jobs.at("a").info.latest().step(), 5);
}

}  // namespace
}  // namespace penstock
