// Replicas of whole pipelines and of single ranks give the bits of a plain loop
// that sums gradients in their order: each replica's in the order of its list,
// then the replicas' in that of the placement.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "schedule/generators/registry.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

// What another order of sums may change, of a loss or norm.
constexpr double kOtherOrder = 1e-6;

struct ReplicaCase {
  std::string schedule;
  std::vector<int> replicas;
  int ranks = 2;
  int microbatches = 6;
  std::string rank_order = "pipeline_major";
  std::string model = "gpt";
  std::map<std::string, std::string> parameters = {};
  std::string recompute = "never";
};

std::string NameOf(const ReplicaCase& test) {
  std::string name =
      absl::StrCat(test.model, "_", test.schedule, "_p", test.ranks, "_m",
                   test.microbatches, "_r", absl::StrJoin(test.replicas, "_"));
  for (const auto& [key, value] : test.parameters) {
    absl::StrAppend(&name, "_", value);
  }
  if (test.rank_order == "data_major") absl::StrAppend(&name, "_data_major");
  if (test.recompute != "never") absl::StrAppend(&name, "_recompute");
  return name;
}

std::ostream& operator<<(std::ostream& out, const ReplicaCase& test) {
  return out << NameOf(test);
}

Job ModelJob(const std::string& model) {
  // SGD, whose updates follow the gradients: Adam's may not where they are
  // near zero, and the plain loop is to be near.
  if (model == "mlp") return TinyMlp("sgd");
  if (model == "gpt") return TinyGpt("sgd");
  // With batch norm and skips.
  Job job = TinyModel("cnn", "sgd");
  job.mutable_optimizer()->set_learning_rate(0.01);
  return job;
}

Job JobOf(const ReplicaCase& test) {
  Job job = ModelJob(test.model);
  job.set_steps(3);
  ScheduleSpec& schedule = *job.mutable_schedule();
  schedule.set_name(test.schedule);
  schedule.set_microbatches(test.microbatches);
  schedule.set_recompute(test.recompute);
  schedule.mutable_parameters()->insert(test.parameters.begin(),
                                        test.parameters.end());
  if (24 % test.microbatches != 0) job.set_batch_size(2 * test.microbatches);
  PartitionSpec& partition = *job.mutable_partition();
  partition.set_ranks(test.ranks);
  const absl::StatusOr<int> stages = CountStages(
      test.schedule,
      {.num_ranks = test.ranks, .num_microbatches = test.microbatches});
  EXPECT_TRUE(stages.ok()) << stages.status();
  partition.set_stages(stages.value_or(1));
  partition.mutable_replicas()->Add(test.replicas.begin(), test.replicas.end());
  partition.set_rank_order(test.rank_order);
  return job;
}

void ExpectNear(const std::vector<double>& got,
                const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(std::abs(got[i] - want[i]), kOtherOrder * std::abs(want[i]))
        << "step " << i + 1;
  }
}

class ReplicasTest : public ::testing::TestWithParam<ReplicaCase> {};

TEST_P(ReplicasTest, HaveTheBitsOfThePlainLoop) {
  const Job job = JobOf(GetParam());
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  const absl::StatusOr<TrainingRecord> got =
      TrainInThreads(built->plan, static_cast<int>(job.steps()));
  ExpectSameBits(got, ReferenceOf(built->plan));
  const absl::StatusOr<TrainingRecord>& plain = Reference(job);
  ASSERT_TRUE(got.ok() && plain.ok()) << plain.status();
  ExpectNear(got->losses, plain->losses);
  ExpectNear(got->gradient_norms, plain->gradient_norms);
}

std::vector<ReplicaCase> Cases() {
  std::vector<ReplicaCase> cases;
  const std::vector<std::string> schedules = {
      "gpipe", "one_f_one_b", "interleaved", "zb_h1",
      "zbv",   "loop_bfs",    "chimera",     "v_min"};
  for (const std::string& schedule : schedules) {
    cases.push_back({.schedule = schedule, .replicas = {2}});
    cases.push_back({.schedule = schedule, .replicas = {3}});
  }
  cases.push_back(
      {.schedule = "dual_pipe_v", .replicas = {2}, .microbatches = 8});
  cases.push_back({.schedule = "naive", .replicas = {2}});
  for (const std::vector<int>& replicas :
       {std::vector<int>{2, 1}, {1, 2}, {2, 3}, {3, 1}}) {
    for (const std::string schedule : {"gpipe", "one_f_one_b", "zb_h1"}) {
      cases.push_back({.schedule = schedule, .replicas = replicas});
    }
    cases.push_back(
        {.schedule = "one_f_one_b", .replicas = replicas, .model = "mlp"});
    cases.push_back(
        {.schedule = "one_f_one_b", .replicas = replicas, .model = "cnn"});
  }
  // Stages that share a rank have its replicas.
  cases.push_back({.schedule = "zbv", .replicas = {2, 1}});
  cases.push_back({.schedule = "interleaved", .replicas = {1, 3}});
  cases.push_back({.schedule = "chimera", .replicas = {2, 1}});
  cases.push_back(
      {.schedule = "one_f_one_b", .replicas = {1, 2, 3}, .ranks = 3});
  // Shares that are not equal, down to one microbatch.
  cases.push_back(
      {.schedule = "one_f_one_b", .replicas = {3}, .microbatches = 4});
  cases.push_back(
      {.schedule = "one_f_one_b", .replicas = {2}, .microbatches = 5});
  cases.push_back({.schedule = "gpipe",
                   .replicas = {2, 3},
                   .microbatches = 5,
                   .parameters = {{"order", "lifo"}}});
  // One stage alone: data parallel.
  cases.push_back({.schedule = "gpipe", .replicas = {3}, .ranks = 1});
  cases.push_back(
      {.schedule = "one_f_one_b", .replicas = {2}, .rank_order = "data_major"});
  cases.push_back({.schedule = "chimera",
                   .replicas = {2},
                   .rank_order = "data_major",
                   .model = "cnn"});
  cases.push_back({.schedule = "zbv", .replicas = {2}, .model = "cnn"});
  cases.push_back(
      {.schedule = "one_f_one_b", .replicas = {2, 3}, .recompute = "always"});
  cases.push_back({.schedule = "chimera",
                   .replicas = {2},
                   .microbatches = 8,
                   .parameters = {{"scale", "doubling"}}});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, ReplicasTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return NameOf(info.param); });

TEST(RankOrderTest, DoesNotChangeTheBits) {
  Job job = JobOf({.schedule = "one_f_one_b", .replicas = {3}});
  const absl::StatusOr<TrainingRecord> pipelines = TrainPipelined(job);
  job.mutable_partition()->set_rank_order("data_major");
  ExpectSameBits(TrainPipelined(job), pipelines);
}

}  // namespace
}  // namespace penstock
