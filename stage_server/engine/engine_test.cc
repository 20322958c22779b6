#include "stage_server/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "models/graph/step_lengths.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/test_plan.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Device> Cpu() { return *MakeDevice("cpu"); }

// An engine on a thread of its own, attached to `transport`, given to `use`.
std::thread OnThread(const Plan& plan, int rank,
                     std::unique_ptr<Transport>& transport,
                     std::function<void(Engine&)> use) {
  return std::thread([&plan, rank, &transport, use] {
    const std::unique_ptr<Device> device = Cpu();
    const auto engine = Engine::Load(plan, RankId(rank), *device);
    ASSERT_TRUE(engine.ok()) << engine.status();
    (*engine)->Attach(std::move(transport));
    use(**engine);
  });
}

std::vector<std::unique_ptr<Transport>> Connected(const Plan& plan) {
  return *ConnectInProcess(plan.schedule().ranks_size(), ChannelsOf(plan));
}

TEST(EngineTest, ReportsWhatItsRankKnows) {
  const Plan plan = TwoRankPlan(WriteTokens("reports.bin"));
  auto transports = Connected(plan);
  std::vector<StepResult> results(2);
  std::vector<std::vector<LayerDigestResult>> digests(2);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.push_back(
        OnThread(plan, rank, transports[rank], [&, rank](Engine& engine) {
          EXPECT_EQ(engine.step(), 0);
          const auto result = engine.RunStep();
          ASSERT_TRUE(result.ok()) << result.status();
          results[rank] = *result;
          digests[rank] = engine.Digests();
          EXPECT_EQ(engine.step(), 1);
        }));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(results[0].step, 1);
  EXPECT_EQ(results[0].loss, std::nullopt);
  EXPECT_EQ(results[0].tokens, 0);
  ASSERT_TRUE(results[1].loss.has_value());
  EXPECT_NEAR(*results[1].loss, std::log(16.0), 0.5);
  EXPECT_EQ(results[1].tokens, 16);
  EXPECT_EQ(results[0].learning_rate, 0.1);
  ASSERT_TRUE(results[0].gradient_norm.has_value());
  EXPECT_GT(*results[0].gradient_norm, 0);
  EXPECT_EQ(results[0].gradient_norm, results[1].gradient_norm);
  for (const StepResult& result : results) {
    EXPECT_GT(result.busy_nanos, 0);
    EXPECT_LE(result.busy_nanos, result.step_nanos);
  }
  ASSERT_EQ(digests[0].size(), 4u);
  EXPECT_EQ(digests[0][0].name, "embed");
  EXPECT_EQ(digests[0][0].sha256.size(), 32u);
  EXPECT_TRUE(digests[1].empty());
}

// Steps of a one-rank engine on this thread.
absl::Status RunAlone(const Plan& plan, int steps,
                      std::vector<LayerDigestResult>* digests = nullptr) {
  const std::unique_ptr<Device> device = Cpu();
  const auto engine = Engine::Load(plan, RankId(0), *device);
  if (!engine.ok()) return engine.status();
  auto transports = Connected(plan);
  (*engine)->Attach(std::move(transports[0]));
  for (int i = 0; i < steps; ++i) {
    const auto result = (*engine)->RunStep();
    if (!result.ok()) return result.status();
  }
  if (digests != nullptr) *digests = (*engine)->Digests();
  return absl::OkStatus();
}

TEST(EngineTest, TwoStagesOnOneRankHaveTheBitsOfTwoRanks) {
  const std::string tokens = WriteTokens("one_rank.bin");
  std::vector<LayerDigestResult> alone, apart;
  ASSERT_TRUE(RunAlone(OneRankPlan(tokens), 3, &alone).ok());
  const Plan plan = TwoRankPlan(tokens);
  auto transports = Connected(plan);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.push_back(
        OnThread(plan, rank, transports[rank], [&, rank](Engine& engine) {
          for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine.RunStep().ok());
          if (rank == 0) apart = engine.Digests();
        }));
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(alone.size(), apart.size());
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_TRUE(alone[i].sha256 == apart[i].sha256) << alone[i].name;
  }
}

TEST(EngineTest, StepsHaveTheTokensAndMemoryOfTheirLength) {
  Plan plan = OneRankPlan(WriteTokens("lengths.bin"));
  for (const int length : {2, 8, 2}) {
    plan.mutable_job()->mutable_data()->add_sequence_lengths(length);
  }
  const StepLengths lengths(plan.job().seed(), {2, 8, 2});
  ASSERT_EQ(lengths.LengthOf(0), 2) << "the first step is to be a short one";
  const std::unique_ptr<Device> device = Cpu();
  const auto engine = Engine::Load(plan, RankId(0), *device);
  ASSERT_TRUE(engine.ok()) << engine.status();
  auto transports = Connected(plan);
  (*engine)->Attach(std::move(transports[0]));
  int64_t short_bytes = 0;
  for (int step = 0; step < 10; ++step) {
    const auto result = (*engine)->RunStep();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->tokens, 2 * lengths.LengthOf(step));
    if (step == 0) short_bytes = (*engine)->Use().memory.activation_bytes();
  }
  EXPECT_GT(short_bytes, 0);
  EXPECT_GT((*engine)->Use().memory.activation_bytes(), 2 * short_bytes);
}

// Losses of the evaluations after each second of four steps.
std::vector<double> EvaluationLosses(const Plan& plan,
                                     std::vector<LayerDigestResult>* digests) {
  auto transports = Connected(plan);
  const int num_ranks = static_cast<int>(transports.size());
  std::vector<std::vector<double>> losses(transports.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank) {
    threads.push_back(
        OnThread(plan, rank, transports[rank], [&, rank](Engine& engine) {
          for (int step = 1; step <= 4; ++step) {
            const auto result = engine.RunStep();
            ASSERT_TRUE(result.ok()) << result.status();
            if (!result->evaluation_loss.has_value()) continue;
            EXPECT_EQ(step % 2, 0);
            losses[rank].push_back(*result->evaluation_loss);
          }
          if (rank == 0) *digests = engine.Digests();
        }));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(num_ranks == 1 || losses[0].empty());
  return losses.back();
}

TEST(EngineTest, EvaluatesBetweenStepsAndChangesNoBit) {
  const std::string tokens = WriteTokens("evaluates.bin");
  std::vector<LayerDigestResult> plain, apart, alone;
  EXPECT_TRUE(EvaluationLosses(TwoRankPlan(tokens), &plain).empty());
  EvaluationSpec spec;
  spec.set_every_steps(2);
  spec.set_tokens(tokens);
  spec.set_microbatches(3);
  Plan two = TwoRankPlan(tokens);
  *two.mutable_job()->mutable_evaluation() = spec;
  const std::vector<double> losses = EvaluationLosses(two, &apart);
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_LT(losses[1], losses[0]);
  Plan one = OneRankPlan(tokens);
  *one.mutable_job()->mutable_evaluation() = spec;
  EXPECT_EQ(EvaluationLosses(one, &alone), losses);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(apart[i].sha256 == plain[i].sha256) << plain[i].name;
    EXPECT_TRUE(alone[i].sha256 == plain[i].sha256) << plain[i].name;
  }
}

TEST(EngineTest, ServesASecondJobOnTheSameThread) {
  const std::string tokens = WriteTokens("second.bin");
  std::vector<LayerDigestResult> first, second;
  ASSERT_TRUE(RunAlone(OneRankPlan(tokens), 2, &first).ok());
  ASSERT_TRUE(RunAlone(OneRankPlan(tokens), 2, &second).ok());
  EXPECT_TRUE(first[0].sha256 == second[0].sha256);
}

TEST(EngineTest, LossThatIsNotFiniteNamesStepStageAndMicrobatch) {
  Plan plan = OneRankPlan(WriteTokens("nan.bin"));
  plan.mutable_job()->mutable_optimizer()->set_learning_rate(1e38);
  const absl::Status status = RunAlone(plan, 10);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("step 2, stage 1, microbatch 0: the loss is "));
}

TEST(EngineTest, SilentPeerNamesTheActionThatWaits) {
  Plan plan = TwoRankPlan(WriteTokens("silent.bin"));
  plan.mutable_job()->set_step_timeout_seconds(0.05);
  auto transports = Connected(plan);
  OnThread(plan, 0, transports[0], [](Engine& engine) {
    const absl::Status status = engine.RunStep().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("step 1, rank 0, action 4 (0RB0[final_norm<r1])"));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("before it ran 0SF0[final_norm>r1] of step 1, 0F1 of "
                          "step 1, 0SF1[final_norm>r1] of step 1"));
  }).join();
}

TEST(EngineTest, CancelEndsAWaitingStepWithItsReason) {
  const Plan plan = TwoRankPlan(WriteTokens("cancel.bin"));
  auto transports = Connected(plan);
  const absl::Status why = absl::AbortedError("epoch 1 is over");
  OnThread(plan, 0, transports[0], [&](Engine& engine) {
    std::thread other([&] { engine.Cancel(why); });
    EXPECT_EQ(engine.RunStep().status(), why);
    other.join();
    engine.Cancel(absl::CancelledError("later"));
    EXPECT_EQ(engine.RunStep().status(), why);
  }).join();
}

TEST(EngineTest, StepsOnlyWithATransport) {
  const Plan plan = OneRankPlan(WriteTokens("unattached.bin"));
  const std::unique_ptr<Device> device = Cpu();
  const auto engine = Engine::Load(plan, RankId(0), *device);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_EQ((*engine)->RunStep().status().code(),
            absl::StatusCode::kFailedPrecondition);
}

absl::Status LoadStatus(const Plan& plan) {
  const std::unique_ptr<Device> device = Cpu();
  return Engine::Load(plan, RankId(0), *device).status();
}

TEST(EngineTest, LoadSaysWhatIsWrongWithTheData) {
  EXPECT_EQ(LoadStatus(OneRankPlan("/nowhere/tokens.bin")).code(),
            absl::StatusCode::kNotFound);
  Plan plan = OneRankPlan(WriteTokens("small_vocabulary.bin"));
  (*plan.mutable_job()->mutable_model()->mutable_overrides())["vocabulary"] =
      "5";
  EXPECT_EQ(LoadStatus(plan).code(), absl::StatusCode::kOutOfRange);
}

TEST(EngineTest, LoadSaysWhatIsWrongWithTheJob) {
  const std::string tokens = WriteTokens("bad_job.bin");
  Plan plan = OneRankPlan(tokens);
  plan.mutable_job()->mutable_optimizer()->set_kind("lion");
  EXPECT_THAT(std::string(LoadStatus(plan).message()), HasSubstr("\"lion\""));
  plan = OneRankPlan(tokens);
  plan.mutable_job()->mutable_learning_rate_schedule()->set_kind("wavy");
  EXPECT_THAT(std::string(LoadStatus(plan).message()), HasSubstr("\"wavy\""));
  plan = OneRankPlan(tokens);
  plan.mutable_job()->set_step_timeout_seconds(0);
  EXPECT_THAT(std::string(LoadStatus(plan).message()),
              HasSubstr("step_timeout_seconds"));
  plan = OneRankPlan(tokens);
  plan.mutable_job()->mutable_evaluation()->set_every_steps(2);
  EXPECT_THAT(std::string(LoadStatus(plan).message()),
              HasSubstr("evaluation.microbatches is 0, want at least 1"));
  plan.mutable_job()->mutable_evaluation()->set_microbatches(1);
  EXPECT_THAT(std::string(LoadStatus(plan).message()),
              HasSubstr("evaluation.tokens is missing"));
  plan = OneRankPlan(tokens);
  plan.mutable_job()->set_threads(-1);
  EXPECT_EQ(LoadStatus(plan).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock
