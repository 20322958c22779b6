#include "coordinator/core/fractions.h"

#include <numeric>
#include <string>
#include <vector>

#include "coordinator/core/arithmetic.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/plan_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/schedule_proto.h"

namespace penstock {
namespace {

// Every action of a step takes this long.
constexpr int64_t kActionNanos = 1'000'000;

Plan PlanOf(const Job& job) {
  const auto built = BuildPlan(job);
  EXPECT_TRUE(built.ok()) << built.status();
  return built.ok() ? built->plan : Plan();
}

std::vector<double> FlopsOf(const Plan& plan, int64_t step = 1) {
  const auto flops = FlopsOfStep(plan, *FromProto(plan.schedule()), step);
  EXPECT_TRUE(flops.ok()) << flops.status();
  return flops.ok() ? *flops : std::vector<double>();
}

double Sum(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

Job JobOn(int stages, const std::string& schedule) {
  Job job = SmallJob();
  job.mutable_schedule()->set_name(schedule);
  job.mutable_partition()->set_stages(stages);
  return job;
}

TEST(FlopsOfStepTest, AreTheSameHoweverTheModelIsCut) {
  const double alone = Sum(FlopsOf(PlanOf(JobOn(1, "naive"))));
  EXPECT_GT(alone, 0);
  for (const std::string schedule : {"gpipe", "one_f_one_b", "zb_h1"}) {
    const std::vector<double> flops = FlopsOf(PlanOf(JobOn(2, schedule)));
    ASSERT_EQ(flops.size(), 2u);
    EXPECT_GT(flops[0], 0);
    EXPECT_GT(flops[1], 0);
    EXPECT_NEAR(Sum(flops) / alone, 1, 1e-9) << schedule;
  }
}

TEST(FlopsOfStepTest, CopiesAndHalvesShareThem) {
  const double alone = Sum(FlopsOf(PlanOf(JobOn(1, "naive"))));
  for (const std::string scale : {"concat", "doubling", "halving"}) {
    Job job = JobOn(2, "chimera");
    (*job.mutable_schedule()->mutable_parameters())["scale"] = scale;
    EXPECT_NEAR(Sum(FlopsOf(PlanOf(job))) / alone, 1, 1e-9) << scale;
  }
}

TEST(FlopsOfStepTest, ARecomputationCounts) {
  const double plain = Sum(FlopsOf(PlanOf(JobOn(2, "gpipe"))));
  Job job = JobOn(2, "gpipe");
  job.mutable_schedule()->set_recompute("always");
  // A third of the whole are forwards.
  EXPECT_NEAR(Sum(FlopsOf(PlanOf(job))) / plain, 4.0 / 3, 0.03);
}

TEST(FlopsOfStepTest, FollowTheLengthOfTheStep) {
  Job job = JobOn(2, "gpipe");
  job.mutable_data()->set_sequence_length(8);
  const double of_short = Sum(FlopsOf(PlanOf(job)));
  job.mutable_data()->set_sequence_length(16);
  const double of_long = Sum(FlopsOf(PlanOf(job)));
  for (const int length : {8, 16}) {
    job.mutable_data()->add_sequence_lengths(length);
  }
  const Plan plan = PlanOf(job);
  int num_short = 0;
  for (int64_t step = 1; step <= 20; ++step) {
    const double flops = Sum(FlopsOf(plan, step));
    EXPECT_TRUE(flops == of_short || flops == of_long) << flops;
    num_short += flops == of_short;
  }
  EXPECT_GT(num_short, 3);
  EXPECT_LT(num_short, 17);
}

TEST(FlopsOfStepTest, APlanThatFitsNoModelIsRefused) {
  Plan plan = PlanOf(JobOn(2, "gpipe"));
  const Schedule schedule = *FromProto(plan.schedule());
  plan.mutable_job()->mutable_model()->set_preset("nothing");
  EXPECT_FALSE(FlopsOfStep(plan, schedule, 1).ok());
  plan.mutable_stages()->RemoveLast();
  EXPECT_FALSE(FlopsOfStep(plan, schedule, 1).ok());
}

TimelineRow TimelineOf(const Plan& plan) {
  TimelineRow row;
  row.set_step(1);
  for (const auto& list : plan.schedule().ranks()) {
    StepTrace& trace = *row.add_ranks();
    trace.set_step(1);
    for (int i = 0; i < list.actions_size(); ++i) {
      trace.add_issued(i * kActionNanos);
      trace.add_started(i * kActionNanos);
      trace.add_ended((i + 1) * kActionNanos);
    }
  }
  return row;
}

TEST(FractionsTest, KernelIsWhatTheArithmeticWouldTakeOfWhatTheRanksWorked) {
  const Plan plan = PlanOf(JobOn(2, "gpipe"));
  const std::vector<double> flops = FlopsOf(plan);
  // Four F, four B and an update on each rank.
  const double work_seconds = 2 * 9 * 1e-9 * kActionNanos;
  const std::vector<double> peaks = {4 * flops[0] / work_seconds,
                                     8 * flops[1] / work_seconds};
  const auto fractions = FractionsOf(plan, TimelineOf(plan), peaks);
  ASSERT_TRUE(fractions.ok()) << fractions.status();
  EXPECT_NEAR(fractions->kernel(), 1.0 / 4 + 1.0 / 8, 1e-6);
}

TEST(FractionsTest, KernelIsNotKnownWithoutThePeakOfEveryRank) {
  const Plan plan = PlanOf(JobOn(2, "gpipe"));
  for (const std::vector<double>& peaks :
       std::vector<std::vector<double>>{{}, {1e9, 0}, {1e9}}) {
    const auto fractions = FractionsOf(plan, TimelineOf(plan), peaks);
    ASSERT_TRUE(fractions.ok()) << fractions.status();
    EXPECT_EQ(fractions->kernel(), 0);
    EXPECT_GT(fractions->balance(), 0);
  }
}

TEST(FractionsTest, KernelIsNeverMoreThanAll) {
  const Plan plan = PlanOf(JobOn(2, "gpipe"));
  EXPECT_EQ(FractionsOf(plan, TimelineOf(plan), {1, 1})->kernel(), 1);
}

}  // namespace
}  // namespace penstock
