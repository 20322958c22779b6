// Models that are no chains, and those of images, pairs and translation, give
// the bits of a plain loop at any cut: skips past stages, parallel branches on
// ranks of their own, several inputs and outputs of a stage.

#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "coordinator/core/plan_builder.h"
#include "models/zoo/zoo.h"
#include "proto/job.pb.h"
#include "schedule/generators/registry.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

struct ModelCase {
  // Of the test; unique.
  std::string name;
  std::string preset;
  std::string schedule = "one_f_one_b";
  int ranks = 2;
  std::string recompute = "never";
  std::string dtype = "float32";
};

std::ostream& operator<<(std::ostream& out, const ModelCase& test) {
  return out << test.name;
}

Job JobOf(const ModelCase& test) {
  Job job = TinyModel(test.preset, "adamw");
  job.set_steps(3);
  job.set_dtype(test.dtype);
  job.mutable_schedule()->set_name(test.schedule);
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_schedule()->set_recompute(test.recompute);
  job.mutable_partition()->set_ranks(test.ranks);
  const absl::StatusOr<int> stages = CountStages(
      test.schedule, {.num_ranks = test.ranks, .num_microbatches = 4});
  EXPECT_TRUE(stages.ok()) << stages.status();
  job.mutable_partition()->set_stages(stages.value_or(1));
  return job;
}

void ExpectBitsOfThePlainLoop(const Job& job) {
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  ExpectSameBits(TrainInThreads(built->plan, static_cast<int>(job.steps())),
                 ReferenceOf(built->plan));
}

class GraphModelTest : public ::testing::TestWithParam<ModelCase> {};

TEST_P(GraphModelTest, HasTheBitsOfThePlainLoop) {
  const Job job = JobOf(GetParam());
  ExpectBitsOfThePlainLoop(job);
}

std::vector<ModelCase> Cases() {
  std::vector<ModelCase> cases;
  for (const std::string preset :
       {"cnn", "unet", "inception", "two-tower", "seq2seq", "llama-nano"}) {
    const auto add = [&](ModelCase test) {
      test.preset = preset;
      test.name = absl::StrCat(absl::StrReplaceAll(preset, {{"-", "_"}}), "_",
                               test.schedule, "_p", test.ranks,
                               test.recompute == "never" ? "" : "_recompute",
                               test.dtype == "float32" ? "" : "_bfloat16");
      cases.push_back(std::move(test));
    };
    add({.schedule = "gpipe", .ranks = 4});
    add({.schedule = "one_f_one_b", .ranks = 2});
    add({.schedule = "one_f_one_b", .ranks = 3, .recompute = "always"});
    add({.schedule = "zb_h1", .ranks = 4});
    add({.schedule = "zbv", .ranks = 2});
    add({.schedule = "interleaved", .ranks = 4});
    // Two copies of each stage; where there is batch norm, with statistics.
    add({.schedule = "chimera", .ranks = 2});
    add({.schedule = "one_f_one_b", .ranks = 2, .dtype = "bfloat16"});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, GraphModelTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// Each layer into the stage that `stage_of` says for its name.
template <typename StageOf>
void Place(int num_stages, StageOf stage_of, Job* job) {
  const absl::StatusOr<Graph> graph = MakeModel(
      {.preset = job->model().preset(),
       .overrides = {job->model().overrides().begin(),
                     job->model().overrides().end()},
       .microbatch_size = job->batch_size() / job->schedule().microbatches(),
       .sequence_length = job->data().sequence_length()});
  ASSERT_TRUE(graph.ok()) << graph.status();
  PartitionSpec& partition = *job->mutable_partition();
  partition.set_stages(num_stages);
  partition.set_ranks(num_stages);
  for (int i = 0; i < num_stages; ++i) partition.add_explicit_layers();
  for (const LayerSpec& layer : graph->layers) {
    partition.mutable_explicit_layers(stage_of(layer.name))
        ->add_layers(layer.name);
  }
}

// The four branches of the first block on four ranks; the second block's with
// the classifier.
int InceptionStage(const std::string& layer) {
  if (absl::StartsWith(layer, "stem") || absl::StartsWith(layer, "m0.copy")) {
    return 0;
  }
  if (absl::StartsWith(layer, "m0.point")) return 1;
  if (absl::StartsWith(layer, "m0.single")) return 2;
  if (absl::StartsWith(layer, "m0.double")) return 3;
  if (absl::StartsWith(layer, "m0.pool")) return 4;
  return 5;
}

TEST(BranchPlacementTest, InceptionsBranchesOnRanksOfTheirOwn) {
  for (const std::string schedule : {"gpipe", "one_f_one_b", "zb_h1"}) {
    Job job = JobOf({.preset = "inception", .schedule = schedule});
    Place(6, InceptionStage, &job);
    ExpectBitsOfThePlainLoop(job);
  }
}

TEST(BranchPlacementTest, TwoTowersOnRanksOfTheirOwn) {
  for (const std::string schedule : {"gpipe", "one_f_one_b", "zb_h1"}) {
    Job job = JobOf({.preset = "two-tower", .schedule = schedule});
    Place(
        3,
        [](const std::string& layer) {
          if (layer == "loss") return 2;
          return absl::StartsWith(layer, "image") ? 0 : 1;
        },
        &job);
    ExpectBitsOfThePlainLoop(job);
  }
}

TEST(BranchPlacementTest, EncoderAndDecoderOnRanksOfTheirOwn) {
  Job job = JobOf({.preset = "seq2seq", .schedule = "one_f_one_b"});
  Place(
      4,
      [](const std::string& layer) {
        if (absl::StartsWith(layer, "encoder")) return 0;
        // Reads the target, and nothing of the encoder.
        if (layer == "decoder.embed" || layer == "decoder.lstm0") return 1;
        return absl::StartsWith(layer, "decoder") ? 2 : 3;
      },
      &job);
  ExpectBitsOfThePlainLoop(job);
}

// Each preset learns what is in its data, well before it has seen all of it.
struct Learning {
  const char* preset;
  int steps;
};

class LearningTest : public ::testing::TestWithParam<Learning> {};

TEST_P(LearningTest, TheLossFallsByHalf) {
  Job job = JobOf({.preset = GetParam().preset});
  job.mutable_model()->clear_overrides();
  job.mutable_optimizer()->set_learning_rate(0.01);
  job.mutable_schedule()->set_microbatches(2);
  job.set_steps(GetParam().steps);
  const absl::StatusOr<TrainingRecord> record = TrainPipelined(job);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_LT(record->losses.back(), 0.5 * record->losses.front())
      << record->losses.front() << " -> " << record->losses.back();
}

INSTANTIATE_TEST_SUITE_P(Presets, LearningTest,
                         ::testing::Values(Learning{"cnn", 60},
                                           Learning{"unet", 60},
                                           Learning{"inception", 60},
                                           Learning{"two-tower", 200}),
                         [](const auto& info) {
                           return absl::StrCat("preset", info.index, "_",
                                               info.param.steps, "_steps");
                         });

}  // namespace
}  // namespace penstock
