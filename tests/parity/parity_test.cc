// Pipelined training gives the bits of a plain loop: loss, gradient norm and
// weights.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "coordinator/core/plan_builder.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/reference_loop.h"

namespace penstock {
namespace {

constexpr int kSteps = 10;
// Divided by every number of microbatches here.
constexpr int kBatch = 24;
// Some steps are clipped and some are not.
constexpr double kClipNorm = 0.7;

std::string TokenPath() {
  static const auto* const path = [] {
    std::string tokens;
    uint32_t state = 1;
    for (int i = 0; i < 4000; ++i) {
      state = state * 1664525u + 1013904223u;
      // Small tokens are more frequent: something to learn in ten steps.
      tokens.push_back(
          static_cast<char>((state >> 16) % 31 * (state >> 24) / 256));
      tokens.push_back('\0');
    }
    auto* const made = new std::string(
        absl::StrCat(::testing::TempDir(), "/parity_tokens.bin"));
    if (!WriteFileAtomically(*made, tokens).ok()) std::abort();
    return made;
  }();
  return *path;
}

void FillOptimizer(const std::string& kind, Job* job) {
  OptimizerSpec* const optimizer = job->mutable_optimizer();
  optimizer->set_kind(kind);
  optimizer->set_learning_rate(kind == "sgd" ? 0.1 : 0.01);
  optimizer->set_momentum(0.9);
  optimizer->set_beta1(0.9);
  optimizer->set_beta2(0.95);
  optimizer->set_epsilon(1e-8);
  optimizer->set_weight_decay(0.1);
  optimizer->set_clip_norm(kClipNorm);
  LearningRateSchedule* const rate = job->mutable_learning_rate_schedule();
  rate->set_kind("cosine");
  rate->set_warmup_steps(3);
  rate->set_final_fraction(0.1);
}

// Dropout on, embedding and head tied; one block, since the matrix is large.
Job TinyGpt(const std::string& optimizer) {
  Job job;
  job.set_name("parity");
  job.mutable_model()->set_preset("gpt-nano");
  auto& overrides = *job.mutable_model()->mutable_overrides();
  overrides["layers"] = "1";
  overrides["hidden"] = "16";
  overrides["heads"] = "2";
  overrides["vocabulary"] = "31";
  overrides["positions"] = "8";
  overrides["dropout"] = "0.1";
  overrides["tied"] = "true";
  job.mutable_data()->set_tokens(TokenPath());
  job.mutable_data()->set_sequence_length(8);
  job.set_batch_size(kBatch);
  job.set_steps(kSteps);
  FillOptimizer(optimizer, &job);
  job.mutable_schedule()->set_name("naive");
  job.mutable_schedule()->set_microbatches(1);
  job.mutable_partition()->set_stages(1);
  job.set_seed(7);
  job.set_dtype("float32");
  job.set_threads(1);
  job.set_step_timeout_seconds(60);
  return job;
}

Job TinyMlp(const std::string& optimizer) {
  Job job = TinyGpt(optimizer);
  job.mutable_model()->set_preset("mlp");
  auto& overrides = *job.mutable_model()->mutable_overrides();
  overrides.clear();
  overrides["layers"] = "3";
  overrides["hidden"] = "20";
  overrides["vocabulary"] = "31";
  overrides["embedding"] = "5";
  overrides["window"] = "3";
  return job;
}

absl::StatusOr<TrainingRecord> TrainCut(Job job, const std::string& schedule,
                                        int stages) {
  job.mutable_schedule()->set_name(schedule);
  job.mutable_partition()->set_stages(stages);
  const absl::StatusOr<BuiltPlan> plan = BuildPlan(job);
  if (!plan.ok()) return plan.status();
  return TrainInThreads(plan->plan, kSteps);
}

void ExpectSameBits(const absl::StatusOr<TrainingRecord>& got,
                    const absl::StatusOr<TrainingRecord>& want) {
  ASSERT_TRUE(want.ok()) << want.status();
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(want->losses.size(), size_t{kSteps});
  EXPECT_EQ(got->losses, want->losses);
  EXPECT_EQ(got->gradient_norms, want->gradient_norms);
  EXPECT_TRUE(got->layer_digests == want->layer_digests)
      << "the final weights differ";
}

// The loop depends on neither schedule nor stages, so one run serves many
// tests.
const absl::StatusOr<TrainingRecord>& Reference(const Job& job) {
  static auto* const records =
      new std::map<std::string, absl::StatusOr<TrainingRecord>>;
  const auto [place, is_new] = records->try_emplace(
      job.SerializeAsString(), absl::InternalError("not run"));
  if (is_new) place->second = TrainInOneLoop(job, kSteps);
  return place->second;
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
                                                              "one_f_one_b"),
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
