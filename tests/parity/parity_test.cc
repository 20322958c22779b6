// Pipelined training gives the bits of a plain loop: loss, gradient norm and
// weights.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

absl::StatusOr<TrainingRecord> TrainCut(Job job, const std::string& schedule,
                                        int stages) {
  job.mutable_schedule()->set_name(schedule);
  job.mutable_partition()->set_stages(stages);
  return TrainPipelined(job);
}

class ParityTest : public ::testing::TestWithParam<
                       std::tuple<const char*, const char*, int, int>> {};

TEST_P(ParityTest, GptWithDropoutAndTiedEmbeddings) {
  const auto& [schedule, optimizer, stages, microbatches] = GetParam();
  Job job = TinyGpt(optimizer);
  job.mutable_schedule()->set_microbatches(microbatches);
  ExpectSameBits(TrainCut(job, schedule, stages), Reference(job));
}

INSTANTIATE_TEST_SUITE_P(Matrix, ParityTest,
                         ::testing::Combine(::testing::Values("naive", "gpipe",
                                                              "one_f_one_b",
                                                              "zb_h1", "zb_h2"),
                                            ::testing::Values("sgd", "adamw"),
                                            ::testing::Values(1, 2, 3, 4),
                                            ::testing::Values(1, 3, 4, 8)),
                         [](const auto& info) {
                           return absl::StrCat(std::get<0>(info.param), "_",
                                               std::get<1>(info.param), "_p",
                                               std::get<2>(info.param), "_m",
                                               std::get<3>(info.param));
                         });

TEST(ParityTest, ReferenceLearnsAndClips) {
  const auto& record = Reference(TinyGpt("adamw"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_LT(record->losses.back(), record->losses.front() - 0.2);
  const auto [smallest, largest] = std::minmax_element(
      record->gradient_norms.begin(), record->gradient_norms.end());
  EXPECT_LT(*smallest, kClipNorm);
  EXPECT_GT(*largest, kClipNorm);
}

TEST(ParityTest, AnotherSeedGivesOtherBits) {
  Job job = TinyGpt("sgd");
  job.set_seed(8);
  const auto& other = Reference(job);
  const auto& record = Reference(TinyGpt("sgd"));
  ASSERT_TRUE(other.ok() && record.ok());
  EXPECT_NE(other->losses, record->losses);
  EXPECT_FALSE(other->layer_digests == record->layer_digests);
}

TEST(ParityTest, UntiedGpt) {
  for (const int stages : {1, 2, 3, 4}) {
    Job job = TinyGpt("adamw");
    (*job.mutable_model()->mutable_overrides())["tied"] = "false";
    job.mutable_schedule()->set_microbatches(4);
    ExpectSameBits(TrainCut(job, "one_f_one_b", stages), Reference(job));
  }
}

TEST(ParityTest, Mlp) {
  for (const int stages : {1, 2, 3, 4}) {
    Job job = TinyMlp("sgd");
    job.mutable_schedule()->set_microbatches(3);
    ExpectSameBits(TrainCut(job, "one_f_one_b", stages), Reference(job));
    ExpectSameBits(TrainCut(job, "gpipe", stages), Reference(job));
  }
}

TEST(ParityTest, Bfloat16) {
  for (const int stages : {1, 2, 3, 4}) {
    Job job = TinyGpt("adamw");
    job.set_dtype("bfloat16");
    job.mutable_schedule()->set_microbatches(4);
    ExpectSameBits(TrainCut(job, "one_f_one_b", stages), Reference(job));
  }
}

// The first steps overflow; then the scale is small enough, and grows again.
Job ScaledJob(Job job) {
  job.set_dtype("float16");
  job.set_steps(16);
  LossScaleSpec& scale = *job.mutable_loss_scale();
  scale.set_initial(1 << 26);
  scale.set_growth_interval(6);
  scale.set_growth(2);
  scale.set_backoff(0.25);
  scale.set_minimum(1);
  job.mutable_schedule()->set_microbatches(4);
  return job;
}

TEST(ParityTest, Float16SkipsStepsUntilTheScaleFitsAndThenTrains) {
  for (const Job& job :
       {ScaledJob(TinyGpt("adamw")), ScaledJob(TinyMlp("sgd"))}) {
    for (const int stages : {1, 2, 3, 4}) {
      const absl::StatusOr<TrainingRecord> got =
          TrainCut(job, "one_f_one_b", stages);
      ExpectSameBits(got, Reference(job));
      ASSERT_TRUE(got.ok());
      EXPECT_FALSE(got->skipped_steps.empty());
      EXPECT_EQ(got->skipped_steps[0], 1);
      EXPECT_LT(got->skipped_steps.size(), 8u);
      EXPECT_EQ(got->skipped_steps.size() + got->gradient_norms.size(), 16u);
      EXPECT_EQ(got->losses[0], Reference(job)->losses[0]);
      EXPECT_LT(got->losses.back(), got->losses.front());
    }
  }
}

TEST(ParityTest, Float16OfReplicasAndCopiesIsSkippedAlike) {
  for (const std::string schedule : {"one_f_one_b", "chimera"}) {
    Job job = ScaledJob(TinyGpt("adamw"));
    job.mutable_partition()->add_replicas(2);
    job.mutable_schedule()->set_name(schedule);
    job.mutable_partition()->set_stages(2);
    ExpectSameBits(TrainPipelined(job), ReferenceOfPlan(job));
  }
}

TEST(ParityTest, OverflowAtTheSmallestScaleFailsTheJob) {
  Job job = ScaledJob(TinyGpt("adamw"));
  job.mutable_loss_scale()->set_minimum(1 << 25);
  const absl::Status status = TrainCut(job, "one_f_one_b", 2).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(
      absl::StrContains(status.message(),
                        "is not finite at the smallest loss scale 3.35544e+07 "
                        "(loss_scale.minimum)"))
      << status;
}

TEST(ParityTest, EveryPlaceToCut) {
  Job job = TinyGpt("adamw");
  (*job.mutable_model()->mutable_overrides())["layers"] = "2";
  job.mutable_schedule()->set_microbatches(3);
  const std::vector<std::string> layers = {"embed",   "h0.attn", "h0.mlp",
                                           "h1.attn", "h1.mlp",  "final_norm",
                                           "head",    "loss"};
  for (size_t cut = 1; cut < layers.size(); ++cut) {
    Job two = job;
    two.mutable_partition()->set_stages(2);
    StageLayers* const first = two.mutable_partition()->add_explicit_layers();
    StageLayers* const second = two.mutable_partition()->add_explicit_layers();
    for (size_t i = 0; i < layers.size(); ++i) {
      (i < cut ? first : second)->add_layers(layers[i]);
    }
    SCOPED_TRACE(absl::StrCat("cut before ", layers[cut]));
    ExpectSameBits(TrainCut(two, "one_f_one_b", 2), Reference(job));
  }
}

}  // namespace
}  // namespace penstock
