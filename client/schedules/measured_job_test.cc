#include "client/schedules/measured_job.h"

#include <algorithm>

#include "client/schedules/costs.h"
#include "client/schedules/traced_steps.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/chain.h"
#include "schedule/lowering/lower.h"
#include "schedule/simulator/simulate.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

constexpr double kNear = 1e-7;

MeasuredJob Measured(const GetTimelineResponse& shown,
                     const std::vector<GetTimelineResponse>& steps) {
  absl::StatusOr<MeasuredJob> job = MeasureJob(shown, steps);
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *std::move(job) : MeasuredJob();
}

TEST(MeasuredJobTest, AStepIsPredictedFromItsOwnCosts) {
  const GetTimelineResponse step = TracedStep(3, 1.0);
  const MeasuredJob job = Measured(step, {step});
  EXPECT_EQ(job.step, 3);
  EXPECT_NEAR(job.costs.stages[0].forward, 1e-3, kNear);
  EXPECT_NEAR(job.predicted_seconds / job.measured_seconds, 1, 0.001);
  EXPECT_NEAR(job.fractions.runtime, 1, 0.001);
  EXPECT_EQ(job.predicted.transfers.size(), job.measured.transfers.size());
}

TEST(MeasuredJobTest, CostsAreMediansOverTheSteps) {
  const GetTimelineResponse slow = TracedStep(4, 5.0);
  const MeasuredJob job =
      Measured(slow, {TracedStep(2, 1.0), TracedStep(3, 1.0), slow});
  EXPECT_THAT(job.cost_steps, ElementsAre(2, 3, 4));
  EXPECT_NEAR(job.costs.stages[1].forward, 1e-3, kNear);
  EXPECT_LT(job.predicted_seconds, 0.3 * job.measured_seconds);
}

TEST(MeasuredJobTest, WithoutAFlushAPeriodIsPredicted) {
  const GetTimelineResponse step = TracedStep(9, 1.0, 9, "pipedream_2bw");
  const MeasuredJob job = Measured(step, {step});
  EXPECT_TRUE(job.schedule.period.empty());
  ASSERT_EQ(job.measured.ranks[0].size(), job.schedule.ranks[0].size());
  ASSERT_EQ(job.predicted.ranks[0].size(), job.schedule.ranks[0].size());
  // Four microbatches of F and B, and an update.
  EXPECT_NEAR(job.predicted_seconds, 12.1e-3, 0.1e-3);
  EXPECT_NEAR(job.predicted_seconds / job.measured_seconds, 1, 0.02);
  EXPECT_GT(job.fractions.schedule, 0.97);
}

// As `penstock simulate --profile` does.
TEST(MeasuredJobTest, TheProfileHasALayerAStageAndPredictsTheStep) {
  const GetTimelineResponse step = TracedStep(3, 1.0);
  const MeasuredJob job = Measured(step, {step});
  const wire::Profile profile = ProfileOf(job, step.plan());
  ASSERT_EQ(profile.layers_size(), 2);
  EXPECT_EQ(profile.layers(0).name(), "embed..h1");
  EXPECT_EQ(profile.layers(1).name(), "head");
  const auto again = ParseProfile(ProfileToJson(profile));
  ASSERT_TRUE(again.ok()) << again.status();
  CostRequest request;
  request.profile = *again;
  const auto schedule = MakeFlushSchedule({.generator = "one_f_one_b",
                                           .num_ranks = 2,
                                           .num_stages = 2,
                                           .num_microbatches = 4,
                                           .edges = ChainEdges(2)});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  const auto costs = CostsOf(request, *schedule);
  ASSERT_TRUE(costs.ok()) << costs.status();
  const auto run = Simulate(*schedule, *costs);
  ASSERT_TRUE(run.ok()) << run.status();
  double end = 0;
  for (const auto& events : run->ranks) {
    for (const TimelineEvent& event : events) end = std::max(end, event.end);
  }
  EXPECT_NEAR(end / job.measured_seconds, 1, 0.002);
}

TEST(MeasuredJobTest, TracesThatDoNotFitThePlanAreRefused) {
  GetTimelineResponse step = TracedStep(3, 1.0);
  step.mutable_ranks()->RemoveLast();
  EXPECT_TRUE(absl::IsInvalidArgument(MeasureJob(step, {step}).status()));
  step = TracedStep(3, 1.0);
  step.mutable_plan()->mutable_schedule()->clear_edges();
  EXPECT_FALSE(MeasureJob(step, {step}).ok());
}

}  // namespace
}  // namespace penstock
