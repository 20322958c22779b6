#include "tests/parity/parity_fixture.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "coordinator/core/plan_builder.h"
#include "models/zoo/zoo.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/summation_order.h"

namespace penstock {
namespace {

// Divided by every number of microbatches here.
constexpr int kBatch = 24;

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

}  // namespace

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
  job.set_steps(10);
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

Job TinyModel(const std::string& preset, const std::string& optimizer) {
  Job job = TinyGpt(optimizer);
  job.mutable_model()->set_preset(preset);
  auto& overrides = *job.mutable_model()->mutable_overrides();
  overrides.clear();
  for (const PresetInfo& info : Presets()) {
    if (info.name != preset) continue;
    if (info.data_kind != "tokens") job.mutable_data()->clear_tokens();
    job.mutable_data()->set_kind(info.data_kind);
    job.mutable_data()->set_sequence_length(info.default_sequence_length);
    if (info.defaults.count("image_size") > 0) {
      overrides["image_size"] = "8";
      overrides["width"] = "8";
    }
  }
  return job;
}

absl::StatusOr<TrainingRecord> TrainPipelined(const Job& job) {
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  if (!built.ok()) return built.status();
  return TrainInThreads(built->plan, static_cast<int>(job.steps()));
}

const absl::StatusOr<TrainingRecord>& Reference(const Job& job,
                                                const SummationOrder& order) {
  static auto* const records =
      new std::map<std::string, absl::StatusOr<TrainingRecord>>;
  Job alone = job;
  alone.mutable_schedule()->clear_name();
  alone.mutable_schedule()->clear_text();
  alone.mutable_schedule()->clear_parameters();
  alone.mutable_schedule()->clear_recompute();
  alone.clear_partition();
  std::string key = alone.SerializeAsString();
  for (const std::vector<std::vector<int>>& layer : order) {
    for (const std::vector<int>& copy : layer) {
      absl::StrAppend(&key, " ", absl::StrJoin(copy, ","));
    }
    absl::StrAppend(&key, ";");
  }
  const auto [place, is_new] =
      records->try_emplace(key, absl::InternalError("not run"));
  if (is_new) {
    place->second = TrainInOneLoop(alone, static_cast<int>(job.steps()), order);
  }
  return place->second;
}

const absl::StatusOr<TrainingRecord>& ReferenceOf(const Plan& plan) {
  return Reference(JobByPiece(plan), OrderOf(plan));
}

const absl::StatusOr<TrainingRecord>& ReferenceOfPlan(const Job& job) {
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  return built.ok() ? ReferenceOf(built->plan) : Reference(job);
}

void ExpectSameBits(const absl::StatusOr<TrainingRecord>& got,
                    const absl::StatusOr<TrainingRecord>& want) {
  ASSERT_TRUE(want.ok()) << want.status();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->losses, want->losses);
  EXPECT_EQ(got->gradient_norms, want->gradient_norms);
  EXPECT_EQ(got->skipped_steps, want->skipped_steps);
  EXPECT_TRUE(got->layer_digests == want->layer_digests)
      << "the final weights differ";
}

}  // namespace penstock
