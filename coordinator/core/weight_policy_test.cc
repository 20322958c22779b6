#include "coordinator/core/weight_policy.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/plan_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Cut into two, with weights that are not tied, and time for every schedule.
Job JobWith(const std::string& schedule, const std::string& policy) {
  Job job = SmallJob();
  (*job.mutable_model()->mutable_overrides())["tied"] = "false";
  job.set_steps(12);
  job.mutable_schedule()->set_name(schedule);
  job.mutable_weights()->set_policy(policy);
  return job;
}

std::string Refusal(const Job& job) {
  const absl::Status status = BuildPlan(job).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

struct Pair {
  std::string schedule;
  std::string policy;
};

std::ostream& operator<<(std::ostream& out, const Pair& pair) {
  return out << pair.schedule;
}

class PairTest : public ::testing::TestWithParam<Pair> {
 protected:
  static void ExpectPlanned(const Job& job) {
    const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
    ASSERT_TRUE(built.ok()) << built.status();
    const Plan& plan = built->plan;
    EXPECT_EQ(plan.job().schedule().name(), GetParam().schedule);
    EXPECT_EQ(plan.job().weights().policy(), GetParam().policy);
    const absl::StatusOr<Schedule> schedule = FromProto(plan.schedule());
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    EXPECT_EQ(schedule->name, GetParam().schedule);
    EXPECT_THAT(Verify(*schedule), IsEmpty());
  }
};

Job JobOfPair(const Pair& pair, const std::string& schedule,
              const std::string& policy) {
  Job job = JobWith(schedule, policy);
  job.mutable_partition()->set_ranks(2);
  job.mutable_partition()->set_stages(pair.schedule == "wpipe" ? 4 : 2);
  return job;
}

TEST_P(PairTest, BothMakeAVerifiedPlan) {
  const Pair& pair = GetParam();
  ExpectPlanned(JobOfPair(pair, pair.schedule, pair.policy));
}

TEST_P(PairTest, TheScheduleAloneSaysThePolicy) {
  ExpectPlanned(JobOfPair(GetParam(), GetParam().schedule, ""));
}

TEST_P(PairTest, ThePolicyAloneSaysTheSchedule) {
  ExpectPlanned(JobOfPair(GetParam(), "", GetParam().policy));
}

INSTANTIATE_TEST_SUITE_P(
    Pairs, PairTest,
    ::testing::Values(Pair{"one_f_one_b", "flush"}, Pair{"pipedream", "stash"},
                      Pair{"pipedream_vertical", "vertical"},
                      Pair{"pipedream_2bw", "double_buffer"},
                      Pair{"wpipe", "grouped"}),
    [](const auto& info) { return info.param.schedule; });

TEST(WeightPolicyTest, AScheduleOfOnesOwnSaysItsPolicy) {
  const std::string text = R"(penstock-schedule 1
name mine
microbatches 2
policy stash
placement r0 r1
versions 1/1 1/0
prologue
r0: 0F0 0F1 0B0
r1: 1F0 1B0
period
r0: 0F2 0B1 0F3 0B2
r1: 1F1 1B1 1F2 1B2
epilogue
r0: 0F2 0B1 0F3 0B2 0B3
r1: 1F1 1B1 1F2 1B2 1F3 1B3
)";
  Job job = JobWith("", "");
  job.mutable_schedule()->set_microbatches(2);
  job.mutable_schedule()->set_text(text);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_EQ(built->plan.job().weights().policy(), "stash");
  EXPECT_EQ(built->plan.schedule().period_size(), 2);
  job.mutable_weights()->set_policy("grouped");
  EXPECT_THAT(Refusal(job), HasSubstr("weights.policy is grouped, and schedule "
                                      "mine is one of stash"));
}

TEST(WeightPolicyTest, APairThatDoesNotFitNamesTheValidOnes) {
  EXPECT_THAT(Refusal(JobWith("pipedream", "double_buffer")),
              AllOf(HasSubstr("weights.policy is double_buffer, and schedule "
                              "pipedream is one of stash"),
                    HasSubstr("double_buffer with pipedream_2bw"),
                    HasSubstr("grouped with wpipe")));
}

TEST(WeightPolicyTest, AnUnknownPolicyGetsASuggestion) {
  EXPECT_THAT(Refusal(JobWith("", "stach")),
              AllOf(HasSubstr("weights.policy: \"stach\" is none of flush"),
                    HasSubstr("did you mean \"stash\"?")));
}

TEST(WeightPolicyTest, TooFewMicrobatchesNamesTheLeast) {
  Job job = JobWith("pipedream_2bw", "");
  job.mutable_schedule()->set_microbatches(2);
  job.mutable_partition()->set_stages(4);
  EXPECT_THAT(Refusal(job), HasSubstr("at least 3 microbatches, got 2"));
  job.mutable_schedule()->set_name("wpipe");
  job.mutable_partition()->set_ranks(4);
  job.mutable_partition()->set_stages(8);
  EXPECT_THAT(Refusal(job),
              AllOf(HasSubstr("at least 3 microbatches, got 2"),
                    HasSubstr("want 4 or more, with which it does not stall")));
}

TEST(WeightPolicyTest, FewerStepsThanTheShortestRunNamesTheLeast) {
  Job job = JobWith("pipedream_2bw", "");
  job.set_steps(1);
  EXPECT_THAT(Refusal(job),
              HasSubstr("steps: schedule pipedream_2bw takes at least 2 steps "
                        "to fill and to drain, got 1"));
  job.set_steps(2);
  EXPECT_TRUE(BuildPlan(job).ok()) << BuildPlan(job).status();
}

TEST(WeightPolicyTest, MoreStepsThanCanBeNumberedAreRefused) {
  Job job = JobWith("pipedream", "");
  job.set_steps(int64_t{1} << 40);
  EXPECT_THAT(Refusal(job), HasSubstr("it takes at most 536870911 steps"));
}

TEST(WeightPolicyTest, ADrainNeedsAsManyStepsAsARun) {
  Job job = JobWith("pipedream_2bw", "");
  job.mutable_evaluation()->set_every_steps(3);
  job.mutable_evaluation()->set_microbatches(2);
  job.mutable_evaluation()->set_tokens("/data/held_out.bin");
  for (const int steps : {2, 6, 8}) {
    job.set_steps(steps);
    EXPECT_TRUE(BuildPlan(job).ok()) << BuildPlan(job).status();
  }
  job.set_steps(7);
  EXPECT_THAT(Refusal(job),
              AllOf(HasSubstr("which leaves 1 of the 7 steps between two "
                              "drains"),
                    HasSubstr("takes at least 2 steps")));
}

TEST(WeightPolicyTest, Float16IsRefused) {
  Job job = JobWith("pipedream", "");
  job.set_dtype("float16");
  job.mutable_loss_scale()->set_initial(1024);
  job.mutable_loss_scale()->set_minimum(1);
  job.mutable_loss_scale()->set_growth(2);
  job.mutable_loss_scale()->set_growth_interval(100);
  job.mutable_loss_scale()->set_backoff(0.5);
  EXPECT_THAT(Refusal(job),
              AllOf(HasSubstr("dtype is float16, and with weights.policy stash "
                              "(schedule pipedream)"),
                    HasSubstr("want bfloat16 or float32")));
  job.set_dtype("bfloat16");
  EXPECT_TRUE(BuildPlan(job).ok()) << BuildPlan(job).status();
}

TEST(WeightPolicyTest, ATypeThatRanksWouldHaveToAgreeOnIsRefused) {
  Job job = JobWith("pipedream", "");
  job.mutable_wire()->set_compress("auto");
  EXPECT_THAT(Refusal(job), HasSubstr("wire.compress is auto, and with "
                                      "weights.policy stash"));
  job.mutable_wire()->set_compress("bf16");
  EXPECT_TRUE(BuildPlan(job).ok()) << BuildPlan(job).status();
}

TEST(WeightPolicyTest, AWeightOfTwoStagesThatReadOtherVersionsIsNamed) {
  Job job = JobWith("pipedream", "");
  (*job.mutable_model()->mutable_overrides())["tied"] = "true";
  EXPECT_THAT(
      Refusal(job),
      AllOf(HasSubstr("\"embed.token.weight\" belongs to stage 0 and is used "
                      "in stage 1"),
            HasSubstr("weights that are not tied"),
            HasSubstr("weights.policy double_buffer, vertical or flush")));
}

TEST(WeightPolicyTest, StagesThatReadOneVersionMayShareAWeight) {
  for (const std::string schedule : {"pipedream_2bw", "pipedream_vertical"}) {
    Job job = JobWith(schedule, "");
    (*job.mutable_model()->mutable_overrides())["tied"] = "true";
    EXPECT_TRUE(BuildPlan(job).ok()) << BuildPlan(job).status();
  }
}

TEST(WeightPolicyTest, AWeightThatIsTiedWithinAStageIsFine) {
  Job job = JobWith("pipedream_2bw", "");
  (*job.mutable_model()->mutable_overrides())["tied"] = "true";
  job.mutable_partition()->set_stages(1);
  EXPECT_TRUE(BuildPlan(job).ok()) << BuildPlan(job).status();
}

TEST(WeightPolicyTest, VerticalSyncTakesNoReplicas) {
  Job job = JobWith("pipedream_vertical", "");
  job.mutable_partition()->add_replicas(2);
  EXPECT_THAT(Refusal(job),
              AllOf(HasSubstr("partition.replicas is 2, and weights.policy "
                              "vertical (schedule pipedream_vertical) fixes"),
                    HasSubstr("take weights.policy stash")));
}

TEST(WeightPolicyTest, ReplicasMayBeAskedForInTwoWays) {
  Job job = JobWith("pipedream", "");
  (*job.mutable_schedule()->mutable_parameters())["replicas"] = "2,1";
  job.mutable_partition()->set_ranks(3);
  const absl::StatusOr<BuiltPlan> by_parameter = BuildPlan(job);
  ASSERT_TRUE(by_parameter.ok()) << by_parameter.status();
  job.mutable_schedule()->clear_parameters();
  job.mutable_partition()->clear_ranks();
  job.mutable_partition()->mutable_replicas()->Add(2);
  job.mutable_partition()->mutable_replicas()->Add(1);
  const absl::StatusOr<BuiltPlan> by_partition = BuildPlan(job);
  ASSERT_TRUE(by_partition.ok()) << by_partition.status();
  EXPECT_EQ(by_partition->plan.schedule_hash(),
            by_parameter->plan.schedule_hash());
  (*job.mutable_schedule()->mutable_parameters())["replicas"] = "2,1";
  EXPECT_THAT(Refusal(job), HasSubstr("leave one of the two out"));
}

TEST(WeightPolicyTest, WholePipelinesMayHaveReplicas) {
  Job job = JobWith("wpipe", "");
  job.mutable_partition()->set_ranks(2);
  job.mutable_partition()->set_stages(4);
  job.mutable_partition()->add_replicas(2);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_EQ(built->plan.schedule().ranks_size(), 4);
  job.mutable_partition()->add_replicas(1);
  EXPECT_THAT(Refusal(job), HasSubstr("takes whole pipelines only"));
}

TEST(WeightPolicyTest, AFileMayHaveAStageOnTwoRanksUnlessItSyncsVertically) {
  const auto file = [](const std::string& policy) {
    return absl::StrCat(
        "penstock-schedule 1\nname mine\nmicrobatches 2\npolicy ", policy,
        "\nplacement r0+r1\nversions 2/0\nprologue\nr0:\nr1:\nperiod\n"
        "r0: 0F0 0B0\nr1: 0F1 0B1\nepilogue\nr0:\nr1:\n");
  };
  Job job = JobWith("", "");
  job.mutable_partition()->set_stages(1);
  job.mutable_schedule()->set_microbatches(2);
  job.mutable_schedule()->set_text(file("vertical"));
  EXPECT_THAT(Refusal(job), HasSubstr("schedule.file: stage 0 is on 2 ranks; "
                                      "with policy vertical want one"));
}

TEST(WeightPolicyTest, ClippingIsPerStageUnlessItFlushes) {
  Job job = JobWith("pipedream", "");
  job.mutable_weights()->set_clip("per_stage");
  EXPECT_TRUE(BuildPlan(job).ok()) << BuildPlan(job).status();
  job.mutable_weights()->set_clip("never");
  EXPECT_THAT(Refusal(job),
              HasSubstr("weights.clip: \"never\", want per_stage"));
  job = JobWith("gpipe", "");
  job.mutable_weights()->set_clip("per_stage");
  EXPECT_THAT(Refusal(job),
              HasSubstr("clips by the norm of the whole gradient; "
                        "leave weights.clip out"));
}

}  // namespace
}  // namespace penstock
