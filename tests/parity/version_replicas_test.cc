// Replicas of stages that never flush give the bits of a plain loop that reads
// the weights that the stage's rule names, sums the gradients of each replica
// and then those sums, and takes the mean over the stage's own update.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"
#include "tests/parity/reference_loop.h"

namespace penstock {
namespace {

// Late weights matter by then.
constexpr int kMicrobatches = 36;

struct ReplicaCase {
  // Of the test; unique.
  std::string name;
  std::string policy = "stash";
  // One for all ranks, or one for each.
  std::vector<int> replicas = {2, 1, 1};
  int microbatches = 2;
  // Of one pipeline.
  int ranks = 3;
  // Groups, of `grouped`.
  int chunks = 1;
  bool extra_round = false;
  std::string optimizer = "adamw";
  std::string preset = "gpt-nano";
  std::string dtype = "float32";
  std::string recompute = "never";
  std::string rank_order = "pipeline_major";
  bool tied = false;
  int evaluate_every = 0;

  int ReplicasOf(int stage) const {
    return replicas[replicas.size() == 1 ? 0 : stage % ranks];
  }
};

std::ostream& operator<<(std::ostream& out, const ReplicaCase& test) {
  return out << test.name;
}

// Rounds that each replica of the stage runs ahead (PipeDream, section 3.2).
int WarmupRounds(const ReplicaCase& test, int stage) {
  int behind = -1;
  for (int s = stage; s < test.ranks; ++s) behind += test.ReplicasOf(s);
  return behind / test.ReplicasOf(stage);
}

// What a stage reads and how it sums, as docs/weight_versions.md has it.
VersionedStage RuleOf(const ReplicaCase& test, int stage) {
  const int p = test.ranks;
  const int m = test.microbatches;
  const int replicas = test.ReplicasOf(stage);
  if (test.policy == "stash") {
    const int extra = test.extra_round && replicas > 1 ? 1 : 0;
    return {{},
            replicas,
            WarmupRounds(test, stage) + extra,
            replicas,
            static_cast<double>(replicas) / test.ReplicasOf(0)};
  }
  if (test.policy == "double_buffer") return {{}, m, 1, replicas};
  const int own = m / replicas;
  const int v = test.chunks;
  const int ahead = (v - 1 - 2 * (stage / p)) * own + p - 1;
  return {{}, m, std::max(0, (ahead + v * own - 1) / (v * own)), replicas};
}

Job JobOf(const ReplicaCase& test) {
  const bool is_gpt = test.preset == "gpt-nano";
  Job job =
      is_gpt ? TinyGpt(test.optimizer) : TinyModel(test.preset, test.optimizer);
  if (is_gpt) {
    (*job.mutable_model()->mutable_overrides())["tied"] =
        test.tied ? "true" : "false";
  }
  job.set_dtype(test.dtype);
  // Batch norm wants more than one sample in a microbatch.
  job.set_batch_size((is_gpt ? 1 : 2) * test.microbatches);
  job.set_steps(kMicrobatches / test.microbatches);
  job.mutable_weights()->set_policy(test.policy);
  ScheduleSpec& schedule = *job.mutable_schedule();
  schedule.clear_name();
  schedule.set_microbatches(test.microbatches);
  schedule.set_recompute(test.recompute);
  if (test.policy == "grouped") {
    (*schedule.mutable_parameters())["chunks"] = absl::StrCat(test.chunks);
  }
  if (test.extra_round) {
    (*schedule.mutable_parameters())["extra_round"] = "yes";
  }
  PartitionSpec& partition = *job.mutable_partition();
  partition.set_ranks(test.ranks);
  partition.set_stages(test.ranks * test.chunks);
  partition.mutable_replicas()->Add(test.replicas.begin(), test.replicas.end());
  partition.set_rank_order(test.rank_order);
  if (test.evaluate_every > 0) {
    EvaluationSpec& evaluation = *job.mutable_evaluation();
    evaluation.set_every_steps(test.evaluate_every);
    evaluation.set_microbatches(3);
    evaluation.set_tokens(job.data().tokens());
  }
  return job;
}

std::vector<VersionedStage> RulesOf(const ReplicaCase& test, const Plan& plan) {
  return RulesOf(plan, [&](int stage) { return RuleOf(test, stage); });
}

class VersionReplicasTest : public ::testing::TestWithParam<ReplicaCase> {};

TEST_P(VersionReplicasTest, HaveTheBitsOfTheReplayedRule) {
  const ReplicaCase& test = GetParam();
  const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(test));
  ASSERT_TRUE(built.ok()) << built.status();
  const Plan& plan = built->plan;
  const int num_steps = static_cast<int>(plan.job().steps());
  std::vector<EngineUse> uses;
  ThreadOptions options;
  options.uses = &uses;
  ExpectSameBits(TrainInThreads(plan, num_steps, options),
                 ReplayVersions(plan.job(), num_steps, RulesOf(test, plan)));
  ASSERT_EQ(static_cast<int>(uses.size()), plan.predicted_memory_size());
  for (size_t rank = 0; rank < uses.size(); ++rank) {
    const MemoryUse& forecast = plan.predicted_memory(static_cast<int>(rank));
    EXPECT_EQ(uses[rank].memory.gradient_bytes(), forecast.gradient_bytes());
    EXPECT_EQ(uses[rank].memory.weight_bytes(), forecast.weight_bytes());
  }
}

std::vector<ReplicaCase> OptimizerCases() {
  std::vector<ReplicaCase> cases;
  const auto add = [&](ReplicaCase test) { cases.push_back(std::move(test)); };
  for (const std::string optimizer : {"sgd", "adamw"}) {
    const std::string end = absl::StrCat("_", optimizer);
    add({.name = absl::StrCat("first_stage", end), .optimizer = optimizer});
    add({.name = absl::StrCat("middle_stage", end),
         .replicas = {1, 2, 1},
         .optimizer = optimizer});
    add({.name = absl::StrCat("loss_stage", end),
         .replicas = {1, 3},
         .microbatches = 3,
         .ranks = 2,
         .optimizer = optimizer});
    add({.name = absl::StrCat("double_buffer", end),
         .policy = "double_buffer",
         .replicas = {2, 1, 2},
         .microbatches = 6,
         .optimizer = optimizer});
    add({.name = absl::StrCat("wpipe", end),
         .policy = "grouped",
         .replicas = {2},
         .microbatches = 4,
         .ranks = 2,
         .chunks = 2,
         .optimizer = optimizer});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Optimizers, VersionReplicasTest,
                         ::testing::ValuesIn(OptimizerCases()),
                         [](const auto& info) { return info.param.name; });

std::vector<ReplicaCase> ShapeCases() {
  std::vector<ReplicaCase> cases;
  const auto add = [&](ReplicaCase test) { cases.push_back(std::move(test)); };
  add({.name = "whole_pipelines", .replicas = {2}, .ranks = 2});
  add({.name = "side_by_side",
       .replicas = {2},
       .ranks = 2,
       .rank_order = "data_major"});
  add({.name = "double_buffer_whole_pipelines",
       .policy = "double_buffer",
       .replicas = {3},
       .microbatches = 6,
       .ranks = 2});
  add({.name = "several_rounds_a_step", .microbatches = 6});
  add({.name = "uneven", .replicas = {3, 2}, .microbatches = 6, .ranks = 2});
  add({.name = "one_stage", .replicas = {3}, .microbatches = 3, .ranks = 1});
  add({.name = "wpipe_of_four_groups",
       .policy = "grouped",
       .replicas = {2},
       .microbatches = 4,
       .ranks = 1,
       .chunks = 4});
  add({.name = "wpipe_with_a_stall",
       .policy = "grouped",
       .replicas = {2},
       .microbatches = 4,
       .ranks = 3,
       .chunks = 2});
  add({.name = "an_extra_round", .extra_round = true});
  add({.name = "extra_rounds",
       .replicas = {2, 3},
       .microbatches = 6,
       .ranks = 2,
       .extra_round = true});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Shapes, VersionReplicasTest,
                         ::testing::ValuesIn(ShapeCases()),
                         [](const auto& info) { return info.param.name; });

std::vector<ReplicaCase> OtherCases() {
  std::vector<ReplicaCase> cases;
  const auto add = [&](ReplicaCase test) { cases.push_back(std::move(test)); };
  add({.name = "batch_norm", .replicas = {2, 1, 2}, .preset = "cnn"});
  add({.name = "batch_norm_double_buffer",
       .policy = "double_buffer",
       .replicas = {2},
       .microbatches = 4,
       .ranks = 2,
       .preset = "cnn"});
  add({.name = "recompute", .recompute = "always"});
  add({.name = "bfloat16", .dtype = "bfloat16"});
  add({.name = "tied_within_a_stage",
       .replicas = {2},
       .ranks = 1,
       .tied = true});
  add({.name = "tied_with_two_gradients",
       .policy = "double_buffer",
       .replicas = {2},
       .microbatches = 4,
       .ranks = 1,
       .tied = true});
  add({.name = "tied_between_stages",
       .policy = "double_buffer",
       .replicas = {2},
       .microbatches = 4,
       .ranks = 2,
       .tied = true});
  add({.name = "tied_between_stages_of_other_widths",
       .policy = "double_buffer",
       .replicas = {1, 2},
       .microbatches = 4,
       .ranks = 2,
       .tied = true});
  add({.name = "tied_between_stages_of_fewer_users",
       .policy = "double_buffer",
       .replicas = {3, 1, 2},
       .microbatches = 6,
       .tied = true});
  add({.name = "evaluated", .evaluate_every = 6});
  add({.name = "evaluated_double_buffer",
       .policy = "double_buffer",
       .replicas = {1, 2},
       .microbatches = 4,
       .ranks = 2,
       .evaluate_every = 3});
  add({.name = "evaluated_wpipe",
       .policy = "grouped",
       .replicas = {2},
       .microbatches = 4,
       .ranks = 2,
       .chunks = 2,
       .evaluate_every = 3});
  add({.name = "evaluated_where_replicas_have_the_loss",
       .replicas = {2, 2},
       .ranks = 2,
       .evaluate_every = 6});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Other, VersionReplicasTest,
                         ::testing::ValuesIn(OtherCases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace penstock
