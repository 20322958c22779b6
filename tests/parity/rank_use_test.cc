// What ranks say that they used of network and memory, against what the plan
// says must have gone where.

#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "stage_server/engine/engine.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

constexpr int kSteps = 3;
constexpr int kMicrobatches = 4;

Job UNet(int ranks) {
  Job job = TinyModel("unet", "adamw");
  job.set_steps(kSteps);
  job.mutable_schedule()->set_name("one_f_one_b");
  job.mutable_schedule()->set_microbatches(kMicrobatches);
  job.mutable_partition()->set_ranks(ranks);
  job.mutable_partition()->set_stages(ranks);
  return job;
}

int64_t BytesOf(const TensorSpec& spec) {
  int64_t bytes = spec.dtype() == DTYPE_INT64 ? 8 : 4;
  for (const int64_t size : spec.shape()) bytes *= size;
  return bytes;
}

// By edge, direction and rank that sent it.
using Sent = std::map<std::pair<int, bool>, std::map<int, EdgeTraffic>>;

Sent ByEdge(const std::vector<EngineUse>& uses) {
  Sent sent;
  for (size_t rank = 0; rank < uses.size(); ++rank) {
    for (const EdgeTraffic& traffic : uses[rank].edges) {
      sent[{traffic.edge.value(), traffic.direction == Direction::kBackward}]
          [static_cast<int>(rank)] = traffic;
    }
  }
  return sent;
}

TEST(RankUseTest, ASkipOfAUNetGoesFromItsProducerToItsConsumerOnce) {
  const absl::StatusOr<BuiltPlan> built = BuildPlan(UNet(4));
  ASSERT_TRUE(built.ok()) << built.status();
  const Plan& plan = built->plan;
  std::vector<EngineUse> uses;
  const auto run = TrainInThreads(plan, kSteps, {.uses = &uses});
  ASSERT_TRUE(run.ok()) << run.status();
  const Sent sent = ByEdge(uses);
  int skips = 0;
  for (int e = 0; e < plan.schedule().edges_size(); ++e) {
    const auto& edge = plan.schedule().edges(e);
    if (edge.to_stage() > edge.from_stage() + 1) ++skips;
    for (const bool backward : {false, true}) {
      SCOPED_TRACE(edge.tensor() + (backward ? " backward" : " forward"));
      ASSERT_EQ(sent.count({e, backward}), 1u);
      const std::map<int, EdgeTraffic>& by = sent.at({e, backward});
      // A stage is on the rank of its number here.
      ASSERT_EQ(by.size(), 1u);
      EXPECT_EQ(by.begin()->first,
                backward ? edge.to_stage() : edge.from_stage());
      const EdgeTraffic& traffic = by.begin()->second;
      EXPECT_EQ(traffic.messages, kSteps * kMicrobatches);
      const int64_t once = BytesOf(plan.edge_tensors(e));
      EXPECT_EQ(traffic.tensor_bytes, kSteps * kMicrobatches * once);
      EXPECT_EQ(traffic.wire_bytes, traffic.tensor_bytes);
    }
  }
  EXPECT_GE(skips, 1);
}

TEST(RankUseTest, AnEdgeWithinARankSendsNothing) {
  Job job = UNet(2);
  job.mutable_schedule()->set_name("zbv");
  job.mutable_partition()->set_stages(4);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  std::vector<EngineUse> uses;
  const auto run = TrainInThreads(built->plan, 1, {.uses = &uses});
  ASSERT_TRUE(run.ok()) << run.status();
  const Sent sent = ByEdge(uses);
  for (int e = 0; e < built->plan.schedule().edges_size(); ++e) {
    const auto& edge = built->plan.schedule().edges(e);
    const auto rank = [&](int stage) {
      return built->plan.schedule().placement(stage).ranks(0);
    };
    EXPECT_EQ(sent.count({e, false}),
              rank(edge.from_stage()) == rank(edge.to_stage()) ? 0u : 1u)
        << edge.tensor();
  }
}

TEST(RankUseTest, StaticMemoryIsThatOfTheParameters) {
  Job job = TinyMlp("adamw");
  job.mutable_schedule()->set_name("gpipe");
  job.mutable_schedule()->set_microbatches(kMicrobatches);
  job.mutable_partition()->set_stages(2);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  std::vector<EngineUse> uses;
  const auto run = TrainInThreads(built->plan, 2, {.uses = &uses});
  ASSERT_TRUE(run.ok()) << run.status();
  for (int rank = 0; rank < 2; ++rank) {
    const MemoryUse& memory = uses[rank].memory;
    const int64_t floats = built->plan.stages(rank).parameter_count();
    // Each parameter begins at a multiple of 128 bytes.
    EXPECT_GE(memory.weight_bytes(), 4 * floats);
    EXPECT_LE(memory.weight_bytes(), 4 * floats + 128 * 16);
    EXPECT_EQ(memory.gradient_bytes(), memory.weight_bytes());
    EXPECT_EQ(memory.optimizer_bytes(), 2 * memory.weight_bytes());
    EXPECT_GT(memory.activation_bytes(), 0);
    EXPECT_EQ(memory.weight_queue_bytes(), 0);
    EXPECT_EQ(memory.peak_bytes(),
              4 * memory.weight_bytes() + memory.activation_bytes());
  }
}

// What `schedule` holds of TinyGpt on two ranks.
std::vector<EngineUse> UsesUnder(const std::string& schedule,
                                 const std::string& recompute = "never") {
  Job job = TinyGpt("sgd");
  job.mutable_schedule()->set_name(schedule);
  job.mutable_schedule()->set_microbatches(kMicrobatches);
  job.mutable_schedule()->set_recompute(recompute);
  job.mutable_partition()->set_stages(2);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  EXPECT_TRUE(built.ok()) << built.status();
  std::vector<EngineUse> uses;
  const auto run = TrainInThreads(built->plan, 2, {.uses = &uses});
  EXPECT_TRUE(run.ok()) << run.status();
  return uses;
}

TEST(RankUseTest, ActivationsFollowTheMicrobatchesInFlight) {
  const std::vector<EngineUse> all = UsesUnder("gpipe");
  const std::vector<EngineUse> few = UsesUnder("one_f_one_b");
  // GPipe keeps all four on each rank, 1F1B two and one.
  EXPECT_GT(all[0].memory.activation_bytes(),
            1.5 * few[0].memory.activation_bytes());
  EXPECT_GT(all[1].memory.activation_bytes(),
            2.0 * few[1].memory.activation_bytes());
  const std::vector<EngineUse> again = UsesUnder("gpipe", "always");
  EXPECT_LT(again[0].memory.activation_bytes(),
            0.6 * all[0].memory.activation_bytes());
}

struct ForecastCase {
  std::string model;
  std::string schedule;
  std::string recompute = "never";
  std::string dtype = "float32";
};

std::ostream& operator<<(std::ostream& out, const ForecastCase& test) {
  return out << test.model << " " << test.schedule << " " << test.recompute
             << " " << test.dtype;
}

class ForecastTest : public ::testing::TestWithParam<ForecastCase> {};

Job JobOf(const ForecastCase& test) {
  Job job = test.model == "mlp" ? TinyMlp("adamw") : TinyGpt("adamw");
  if (test.model == "unet") job = UNet(2);
  if (test.model == "llama") {
    job.mutable_model()->set_preset("llama-nano");
    job.mutable_model()->clear_overrides();
    (*job.mutable_model()->mutable_overrides())["layers"] = "2";
  }
  if (test.model == "gpt") {
    auto& overrides = *job.mutable_model()->mutable_overrides();
    overrides["layers"] = "2";
    overrides["hidden"] = "64";
  }
  job.set_dtype(test.dtype);
  job.mutable_schedule()->set_name(test.schedule);
  job.mutable_schedule()->set_microbatches(kMicrobatches);
  job.mutable_schedule()->set_recompute(test.recompute);
  job.mutable_partition()->set_ranks(2);
  job.mutable_partition()->set_stages(
      test.schedule == "interleaved" || test.schedule == "zbv" ? 4 : 2);
  return job;
}

void ExpectNear(int64_t got, int64_t want, const char* what) {
  // What a small model's step holds beside is a few scalars.
  EXPECT_NEAR(got, want, 0.05 * static_cast<double>(want) + 512) << what;
}

TEST_P(ForecastTest, IsWithinFivePercentOfWhatIsMeasured) {
  const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(GetParam()));
  ASSERT_TRUE(built.ok()) << built.status();
  std::vector<EngineUse> uses;
  const auto run = TrainInThreads(built->plan, 2, {.uses = &uses});
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_EQ(built->plan.predicted_memory_size(), 2);
  for (int rank = 0; rank < 2; ++rank) {
    SCOPED_TRACE(rank);
    const MemoryUse& want = uses[rank].memory;
    const MemoryUse& got = built->plan.predicted_memory(rank);
    EXPECT_EQ(got.weight_bytes(), want.weight_bytes());
    EXPECT_EQ(got.gradient_bytes(), want.gradient_bytes());
    EXPECT_EQ(got.optimizer_bytes(), want.optimizer_bytes());
    ExpectNear(got.activation_bytes(), want.activation_bytes(), "activations");
    ExpectNear(got.weight_queue_bytes(), want.weight_queue_bytes(),
               "weight queue");
    ExpectNear(got.peak_bytes(), want.peak_bytes(), "peak");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Schedules, ForecastTest,
    ::testing::Values(
        ForecastCase{"gpt", "gpipe"}, ForecastCase{"gpt", "gpipe", "always"},
        ForecastCase{"gpt", "one_f_one_b"}, ForecastCase{"gpt", "interleaved"},
        ForecastCase{"gpt", "zb_h1"}, ForecastCase{"gpt", "zbv"},
        ForecastCase{"gpt", "chimera"},
        ForecastCase{"gpt", "zb_h1", "never", "bfloat16"},
        ForecastCase{"mlp", "gpipe"},
        ForecastCase{"mlp", "one_f_one_b", "always"},
        ForecastCase{"mlp", "zb_h1"}, ForecastCase{"llama", "one_f_one_b"},
        ForecastCase{"llama", "zb_h1"}, ForecastCase{"unet", "one_f_one_b"},
        ForecastCase{"unet", "zb_h1"}));

TEST(RankUseTest, ASplitBackwardShowsWhatItsWeightGradientsHold) {
  const std::vector<EngineUse> split = UsesUnder("zb_h1");
  EXPECT_GT(split[1].memory.weight_queue_bytes(), 0);
}

}  // namespace
}  // namespace penstock
