#include "coordinator/core/emulation.h"

#include "absl/strings/str_cat.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/plan_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Four layers of equal time, 100 bytes after each.
Job EmulatedJob() {
  Job job = SmallJob();
  job.clear_model();
  job.clear_data();
  for (int i = 0; i < 4; ++i) {
    wire::LayerProfile& layer = *job.mutable_emulate()->add_layers();
    layer.set_name(absl::StrCat("l", i));
    layer.set_forward_seconds(0.001);
    layer.set_parameter_bytes(400);
    wire::TensorProfile& tensor = *job.mutable_emulate()->add_tensors();
    tensor.set_name(layer.name());
    tensor.set_bytes(101);
  }
  return job;
}

std::string Refusal(const Job& job) {
  const absl::Status status = BuildPlan(job).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(EmulationTest, LayersAreCutEvenlyByTheirTime) {
  Job job = EmulatedJob();
  job.mutable_emulate()->mutable_layers(3)->set_forward_seconds(0.009);
  const auto built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_THAT(built->plan.stages(0).layers(), ElementsAre("l0", "l1", "l2"));
  EXPECT_THAT(built->plan.stages(1).layers(), ElementsAre("l3"));
  EXPECT_EQ(built->plan.stages(0).parameter_count(), 300);
}

TEST(EmulationTest, TheOutputOfTheLayerBeforeTheCutCrossesIt) {
  const auto built = BuildPlan(EmulatedJob());
  ASSERT_TRUE(built.ok()) << built.status();
  const auto schedule = FromProto(built->plan.schedule());
  ASSERT_TRUE(schedule.ok());
  EXPECT_THAT(Verify(*schedule), IsEmpty());
  EXPECT_THAT(schedule->edges, ElementsAre(Edge{EdgeKind::kActivation, "l1",
                                                StageId(0), StageId(1)}));
  EXPECT_THAT(built->plan.edge_tensors(0).shape(), ElementsAre(26));
}

TEST(EmulationTest, ThereAreNoWeightsToTellADigestOf) {
  EXPECT_THAT(BuildPlan(EmulatedJob())->parameter_layers, IsEmpty());
}

TEST(EmulationTest, ACutWithoutASizeIsRefused) {
  Job job = EmulatedJob();
  job.mutable_emulate()->mutable_tensors(1)->set_name("other");
  EXPECT_THAT(Refusal(job), HasSubstr("no size of tensor \"l1\", which goes "
                                      "from stage 0 to 1"));
}

TEST(EmulationTest, MoreStagesThanLayersAreRefused) {
  Job job = EmulatedJob();
  job.mutable_partition()->set_stages(5);
  EXPECT_THAT(Refusal(job),
              HasSubstr("5 stages, but the profile has only 4 layers"));
}

TEST(EmulationTest, AModelBesideItIsRefused) {
  Job job = EmulatedJob();
  job.mutable_model()->set_preset("mlp");
  EXPECT_THAT(Refusal(job), HasSubstr("the job has a model too"));
}

TEST(EmulationTest, LengthsOfItsStepsAreRefused) {
  Job job = EmulatedJob();
  job.mutable_data()->add_sequence_lengths(8);
  EXPECT_THAT(Refusal(job), HasSubstr("leave data.sequence_lengths or"));
}

TEST(EmulationTest, AProfileThatCannotBeReckonedWithIsRefused) {
  Job job = EmulatedJob();
  job.mutable_emulate()->mutable_layers(2)->set_forward_seconds(-1);
  EXPECT_THAT(Refusal(job), HasSubstr("emulate: "));
  job.mutable_emulate()->clear_layers();
  EXPECT_THAT(Refusal(job), HasSubstr("no layers"));
}

}  // namespace
}  // namespace penstock
