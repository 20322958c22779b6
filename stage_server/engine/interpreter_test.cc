#include "stage_server/engine/interpreter.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* HalfText(Half half) {
  if (half == Half::kWhole) return "";
  return half == Half::kFirst ? ".0" : ".1";
}

std::string VersionText(std::optional<int32_t> version) {
  return version.has_value() ? absl::StrCat("@", *version) : "";
}

// Writes down what it is asked; the tensors that it sends hold the microbatch.
class RecordingBackend : public StageBackend {
 public:
  absl::Status BeginStep(int64_t step) override {
    calls.push_back(absl::StrCat("step ", step));
    return absl::OkStatus();
  }
  absl::Status Forward(StageId stage, MicrobatchId microbatch,
                       std::optional<int32_t> version) override {
    calls.push_back(absl::StrCat(stage.value(), "F", microbatch.value(),
                                 VersionText(version)));
    return forward_status;
  }
  absl::Status Backward(StageId stage, MicrobatchId microbatch, Half half,
                        std::optional<int32_t> version) override {
    calls.push_back(absl::StrCat(stage.value(), "B", microbatch.value(),
                                 HalfText(half), VersionText(version)));
    return absl::OkStatus();
  }
  absl::Status Recompute(StageId stage, MicrobatchId microbatch,
                         std::optional<int32_t> version) override {
    calls.push_back(absl::StrCat(stage.value(), "R", microbatch.value(),
                                 VersionText(version)));
    return absl::OkStatus();
  }
  absl::Status BackwardInput(StageId stage, MicrobatchId microbatch, Half half,
                             std::optional<int32_t> version) override {
    calls.push_back(absl::StrCat(stage.value(), "I", microbatch.value(),
                                 HalfText(half), VersionText(version)));
    return absl::OkStatus();
  }
  absl::Status BackwardWeight(StageId stage, MicrobatchId microbatch, Half half,
                              std::optional<int32_t> version) override {
    calls.push_back(absl::StrCat(stage.value(), "W", microbatch.value(),
                                 HalfText(half), VersionText(version)));
    return absl::OkStatus();
  }
  absl::StatusOr<at::Tensor> Outgoing(const Action& send) override {
    return at::full({1}, static_cast<float>(send.microbatch.value()),
                    at::kFloat);
  }
  absl::StatusOr<at::Tensor> Buffer(const Action& receive) override {
    calls.push_back(absl::StrCat("buffer ", receive.microbatch.value()));
    return at::empty({1}, at::kFloat);
  }
  absl::Status Incoming(const Action& receive, at::Tensor tensor) override {
    calls.push_back(absl::StrCat("got ", tensor.item<float>()));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<at::Tensor>> Gradients(StageId stage) override {
    calls.push_back(absl::StrCat(stage.value(), "G"));
    return std::vector<at::Tensor>{gradient};
  }
  absl::StatusOr<AgreementParts> NormParts() override {
    return AgreementParts{parts, losses};
  }
  absl::Status SetNorm(const Agreement& agreed) override {
    norm = agreed.norm;
    mean_loss = agreed.mean_loss;
    return absl::OkStatus();
  }
  absl::Status Update(StageId stage, std::optional<int32_t> version) override {
    calls.push_back(absl::StrCat(stage.value(), "U", VersionText(version)));
    return absl::OkStatus();
  }

  absl::Status EndStep() override { return end_status; }
  absl::Status EndList() override {
    ++num_lists;
    return absl::OkStatus();
  }

  absl::Status BeginEvaluation() override {
    calls.push_back("evaluate");
    return absl::OkStatus();
  }
  absl::StatusOr<AgreementParts> EvaluationParts() override {
    return AgreementParts{{}, losses};
  }
  absl::Status EndEvaluation(std::optional<double> mean) override {
    calls.push_back("evaluated");
    mean_loss = mean;
    return absl::OkStatus();
  }

  std::vector<std::string> calls;
  std::vector<LayerSquares> parts;
  std::vector<std::optional<double>> losses;
  GlobalNorm norm;
  std::optional<double> mean_loss;
  at::Tensor gradient;
  absl::Status forward_status;
  absl::Status end_status;
  int num_lists = 0;
};

constexpr char kHeader[] = R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0 r1
edge activation x 0>1
)";

Schedule TwoRanks(const std::string& first, const std::string& second) {
  return *ParseSchedule(
      absl::StrCat(kHeader, "r0: ", first, "\nr1: ", second, "\n"));
}

RankProgram Program(const Schedule& schedule, int rank,
                    const std::vector<int>& losses = {0, 0}) {
  RankProgram program;
  program.rank = RankId(rank);
  program.schedule = schedule;
  program.owned_layers = {{0, 2}, {1}};
  program.loss_places = losses;
  program.receive_lookahead = 1;
  program.step_timeout = absl::Seconds(10);
  return program;
}

class InterpreterTest : public ::testing::Test {
 protected:
  // Runs both ranks' lists once.
  void RunBoth(const Schedule& schedule,
               const std::vector<int>& losses = {0, 0}) {
    auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        auto interpreter = Interpreter::Make(Program(schedule, rank, losses),
                                             &backends_[rank]);
        ASSERT_TRUE(interpreter.ok()) << interpreter.status();
        (*interpreter)->Attach(std::move(transports[rank]));
        statuses_[rank] = (*interpreter)->RunStep(1).status();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  RecordingBackend backends_[2];
  absl::Status statuses_[2];
};

TEST_F(InterpreterTest, RunsTheListInItsOrderAndPostsReceivesAhead) {
  RunBoth(TwoRanks("0F0 0SF0[x>r1] 0F1 0SF1[x>r1]",
                   "1RF0[x<r0] 1F0 1RF1[x<r0] 1F1"));
  EXPECT_TRUE(statuses_[0].ok()) << statuses_[0];
  EXPECT_TRUE(statuses_[1].ok()) << statuses_[1];
  EXPECT_THAT(backends_[0].calls, ElementsAre("step 0", "0F0", "0F1"));
  EXPECT_THAT(backends_[1].calls,
              ElementsAre("step 0", "buffer 0", "got 0", "buffer 1", "1F0",
                          "got 1", "1F1"));
}

TEST_F(InterpreterTest, EveryComputeOpReachesTheBackendOfAPairTheFirstFirst) {
  RunBoth(TwoRanks("0F0 0R0 0B0 0F1&0I1 0W1 0U", "1F0+1 1B0.0 1I0.1 1W0.1"));
  EXPECT_TRUE(statuses_[0].ok()) << statuses_[0];
  EXPECT_THAT(backends_[0].calls, ElementsAre("step 0", "0F0", "0R0", "0B0",
                                              "0F1", "0I1", "0W1", "0U"));
  EXPECT_TRUE(statuses_[1].ok()) << statuses_[1];
  EXPECT_THAT(backends_[1].calls,
              ElementsAre("step 0", "1F0", "1F1", "1B0.0", "1I0.1", "1W0.1"));
}

TEST_F(InterpreterTest, CountsWhatItSent) {
  const Schedule schedule =
      TwoRanks("0F0 0SF0[x>r1] 0F1 0SF1[x>r1]", "1RF0[x<r0] 1RF1[x<r0]");
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  auto interpreter = Interpreter::Make(Program(schedule, 0), &backends_[0]);
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  (*interpreter)->Attach(std::move(transports[0]));
  int calls = 0;
  for (int step = 1; step <= 2; ++step) {
    ASSERT_TRUE((*interpreter)->RunStep(step, [&] { ++calls; }).ok());
  }
  // Before each action and after the last.
  EXPECT_EQ(calls, 2 * 5);
  EXPECT_THAT(
      (*interpreter)->EdgeTotals(),
      ElementsAre(EdgeTraffic{EdgeId(0), Direction::kForward, 4, 16, 16}));
}

TEST_F(InterpreterTest, WhatTheListLeftUndoneFailsTheStep) {
  backends_[0].end_status = absl::InternalError("0W0 is missing");
  RunBoth(TwoRanks("0F0", "1F0"));
  EXPECT_EQ(statuses_[0], backends_[0].end_status);
  EXPECT_TRUE(statuses_[1].ok()) << statuses_[1];
}

TEST_F(InterpreterTest, NormIsSummedInLayerOrderAndGivenToAll) {
  backends_[0].parts = {{0, 1e16}, {2, 1.0}};
  backends_[1].parts = {{1, 1.0}};
  RunBoth(TwoRanks("N 0U", "N 1U"));
  EXPECT_TRUE(statuses_[1].ok()) << statuses_[1];
  const double want =
      CombineSquares(std::vector<LayerSquares>{{0, 1e16}, {1, 1.0}, {2, 1.0}})
          .norm;
  EXPECT_EQ(backends_[0].norm.norm, want);
  EXPECT_EQ(backends_[1].norm.norm, want);
}

TEST_F(InterpreterTest, CopiesGradientsAreSummedBeforeTheNorm) {
  const Schedule schedule = *ParseSchedule(
      "penstock-schedule 1\nname by_hand\nmicrobatches 2\n"
      "placement r0+r1\nr0: 0F0 0G N\nr1: 0F1 0G N\n");
  for (int rank = 0; rank < 2; ++rank) {
    backends_[rank].gradient =
        at::full({3}, static_cast<float>(rank + 1), at::kFloat);
    backends_[rank].losses = {std::nullopt, std::nullopt};
    backends_[rank].losses[rank] = rank + 4.0;
  }
  backends_[0].parts = {{0, 1.0}, {2, 1.0}};
  backends_[1].parts = {{1, 1.0}};
  RunBoth(schedule, {2, 2});
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_TRUE(statuses_[rank].ok()) << statuses_[rank];
    EXPECT_EQ(backends_[rank].gradient[2].item<float>(), 3.0f);
    EXPECT_EQ(backends_[rank].mean_loss, 4.5);
  }
}

TEST_F(InterpreterTest, ALossThatNoRankHasIsAnError) {
  for (RecordingBackend& backend : backends_) {
    backend.losses = {1.0, std::nullopt};
  }
  backends_[0].parts = {{0, 1.0}, {2, 1.0}};
  backends_[1].parts = {{1, 1.0}};
  RunBoth(TwoRanks("N", "N"), {2, 2});
  EXPECT_THAT(std::string(statuses_[0].message()),
              HasSubstr("no rank has the loss of piece 1"));
}

TEST_F(InterpreterTest, EveryRankHearsOfTheBrokenLayer) {
  backends_[0].parts = {{0, 1.0}, {2, std::nan("")}};
  backends_[1].parts = {{1, std::nan("")}};
  RunBoth(TwoRanks("N", "N"));
  EXPECT_EQ(backends_[0].norm.broken_layer, 1);
  EXPECT_EQ(backends_[1].norm.broken_layer, 1);
}

TEST_F(InterpreterTest, PartsOfOtherLayersAreRefused) {
  backends_[0].parts = {{0, 1.0}, {1, 1.0}};
  const Schedule schedule = TwoRanks("N", "N");
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  auto interpreter = *Interpreter::Make(Program(schedule, 0), &backends_[0]);
  interpreter->Attach(std::move(transports[0]));
  EXPECT_EQ(interpreter->RunStep(1).status().code(),
            absl::StatusCode::kInternal);
}

TEST_F(InterpreterTest, ErrorsSayWhichAction) {
  backends_[0].forward_status = absl::ResourceExhaustedError("no memory");
  const Schedule schedule = TwoRanks("0U 0F1", "");
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  auto interpreter = *Interpreter::Make(Program(schedule, 0), &backends_[0]);
  interpreter->Attach(std::move(transports[0]));
  EXPECT_EQ(interpreter->RunStep(3).status(),
            absl::ResourceExhaustedError(
                "step 3, rank 0, action 1 (0F1): no memory"));
  ASSERT_EQ(interpreter->trace().Latest(5).size(), 1u);
  EXPECT_EQ(interpreter->trace().Latest(5)[0].step, 3);
}

TEST_F(InterpreterTest, ATracedStepTellsWhenEachActionRan) {
  const Schedule schedule = TwoRanks("0F0 0B0 0U", "");
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  auto interpreter = *Interpreter::Make(Program(schedule, 0), &backends_[0]);
  interpreter->Attach(std::move(transports[0]));
  const auto timing = interpreter->RunStep(2);
  ASSERT_TRUE(timing.ok()) << timing.status();
  ASSERT_TRUE(timing->trace.has_value());
  const StepTrace& trace = *timing->trace;
  EXPECT_EQ(trace.step(), 2);
  ASSERT_EQ(trace.ended_size(), 3);
  int64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_GE(trace.issued(i), before);
    EXPECT_GE(trace.started(i), trace.issued(i));
    EXPECT_GE(trace.ended(i), trace.started(i));
    before = trace.ended(i);
  }
  EXPECT_LE(before, timing->step_nanos);
  EXPECT_FALSE(interpreter->RunStep(33)->trace.has_value());
  EXPECT_FALSE(interpreter->Missing().has_value());
}

TEST_F(InterpreterTest, ATracedStepMeasuresTheClocksWhereTheRanksMeet) {
  const Schedule schedule = TwoRanks("N", "N");
  backends_[0].parts = {{0, 1.0}, {2, 1.0}};
  backends_[1].parts = {{1, 1.0}};
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  std::vector<std::thread> threads;
  std::vector<StepTrace> traces(2);
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      auto interpreter =
          *Interpreter::Make(Program(schedule, rank), &backends_[rank]);
      interpreter->Attach(std::move(transports[rank]));
      const auto timing = interpreter->RunStep(1);
      ASSERT_TRUE(timing.ok()) << timing.status();
      traces[rank] = *timing->trace;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(traces[0].round_trip_nanos(), 0);
  EXPECT_GT(traces[1].round_trip_nanos(), 0);
  EXPECT_LE(2 * std::abs(traces[1].clock_offset_nanos()),
            traces[1].round_trip_nanos() + 1);
}

TEST_F(InterpreterTest, AStepThatWaitsTooLongSaysWhatItWasAt) {
  const Schedule schedule = TwoRanks("0F0 0RB0[x<r1] 0B0", "");
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  RankProgram program = Program(schedule, 0);
  program.step_timeout = absl::Milliseconds(20);
  auto interpreter = *Interpreter::Make(program, &backends_[0]);
  interpreter->Attach(std::move(transports[0]));
  EXPECT_TRUE(absl::IsDeadlineExceeded(interpreter->RunStep(5).status()));
  const std::optional<MissingAction> missing = interpreter->Missing();
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->step(), 5);
  EXPECT_EQ(missing->position(), 1);
  EXPECT_EQ(missing->trace().ended_size(), 1);
  EXPECT_EQ(missing->trace().issued_size(), 2);
}

// Sends that nobody takes.
class UnreceivedTransport : public Transport {
 public:
  absl::StatusOr<RequestId> PostSend(ChannelId, const MessageHeader&,
                                     absl::Span<const std::byte>) override {
    return ++last_;
  }
  absl::StatusOr<RequestId> PostReceive(ChannelId, const MessageHeader&,
                                        absl::Span<std::byte>) override {
    return ++last_;
  }
  absl::StatusOr<bool> Test(RequestId) override { return false; }
  absl::Status Wait(RequestId, absl::Time) override {
    return absl::DeadlineExceededError("not complete");
  }
  absl::Status AwaitProgress(absl::Time) override { return absl::OkStatus(); }
  void Cancel(absl::Status) override {}
  int64_t num_stale_messages() const override { return 0; }

 private:
  RequestId last_ = 0;
};

TEST_F(InterpreterTest, ASendThatNobodyTakesIsWhatTheStepsEndWaitsFor) {
  const Schedule schedule = TwoRanks("0F0 0SF0[x>r1] 0SF1[x>r1] 0U", "");
  auto interpreter = *Interpreter::Make(Program(schedule, 0), &backends_[0]);
  interpreter->Attach(std::make_unique<UnreceivedTransport>());
  const absl::Status status = interpreter->RunStep(1).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("step 1, rank 0, action 1 (0SF0[x>r1])"));
  const std::optional<MissingAction> missing = interpreter->Missing();
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->position(), 1);
  EXPECT_EQ(missing->trace().ended_size(), 4);
  EXPECT_EQ(missing->trace().issued_size(), 5);
}

// PipeDream-2BW: rank 0 a microbatch ahead of rank 1.
constexpr char kNeverDrains[] = R"(penstock-schedule 1
name by_hand
microbatches 2
policy double_buffer
placement r0 r1
versions 2/1 2/1
edge activation x 0>1
prologue
r0: 0F0@0 0SF0[x>r1] 0F1@0 0SF1[x>r1] 0RB0[x<r1] 0B0@0 0F2@0 0SF2[x>r1] 0RB1[x<r1] 0B1@0 0U@1
r1: 1RF0[x<r0] 1F0@0 1B0@0 1SB0[x>r0] 1RF1[x<r0] 1F1@0 1B1@0 1SB1[x>r0] 1U@1
period
r0: 0F3@0 0SF3[x>r1] 0RB2[x<r1] 0B2@0 0F4@1 0SF4[x>r1] 0RB3[x<r1] 0B3@0 0U@2
r1: 1RF2[x<r0] 1F2@0 1B2@0 1SB2[x>r0] 1RF3[x<r0] 1F3@0 1B3@0 1SB3[x>r0] 1U@2
epilogue
r0: 0F3@0 0SF3[x>r1] 0RB2[x<r1] 0B2@0 0RB3[x<r1] 0B3@0 0U@2
r1: 1RF2[x<r0] 1F2@0 1B2@0 1SB2[x>r0] 1RF3[x<r0] 1F3@0 1B3@0 1SB3[x>r0] 1U@2
)";

TEST_F(InterpreterTest, AListThatNeverDrainsIsRunOnFromStepToStep) {
  constexpr int kSteps = 4;
  const Schedule schedule = *ParseSchedule(kNeverDrains);
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  std::vector<std::thread> threads;
  std::vector<int64_t> traced[2];
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      RankProgram program = Program(schedule, rank);
      program.num_steps = kSteps;
      // Across the end of a step.
      program.receive_lookahead = 5;
      auto interpreter = *Interpreter::Make(program, &backends_[rank]);
      interpreter->Attach(std::move(transports[rank]));
      for (int step = 1; step <= kSteps; ++step) {
        EXPECT_EQ(backends_[rank].num_lists, 0);
        const auto timing = interpreter->RunStep(step);
        ASSERT_TRUE(timing.ok()) << timing.status();
        if (!timing->trace.has_value()) continue;
        traced[rank].push_back(timing->trace->step());
        EXPECT_EQ(timing->trace->ended_size(), 9);
        EXPECT_EQ(timing->trace->issued(0), 0);
      }
      EXPECT_EQ(backends_[rank].num_lists, 1);
      EXPECT_EQ(interpreter->RunStep(kSteps + 1).status(),
                absl::FailedPreconditionError("the run of 4 steps is over"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::erase_if(backends_[0].calls, [](const std::string& call) {
    return call.starts_with("buffer") || call.starts_with("got");
  });
  EXPECT_THAT(
      backends_[0].calls,
      ElementsAre("step 0", "0F0@0", "0F1@0", "0B0@0", "0F2@0", "0B1@0",
                  "0U@1",                                                //
                  "step 1", "0F3@0", "0B2@0", "0F4@1", "0B3@0", "0U@2",  //
                  "step 2", "0F5@1", "0B4@1", "0F6@2", "0B5@1", "0U@3",  //
                  "step 3", "0F7@2", "0B6@2", "0B7@2", "0U@4"));
  for (const std::vector<int64_t>& steps : traced) {
    EXPECT_THAT(steps, ElementsAre(2, 3));
  }
}

TEST_F(InterpreterTest, AListThatNeverDrainsSaysWhatItWaitsFor) {
  const Schedule schedule = *ParseSchedule(kNeverDrains);
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  std::vector<std::thread> threads;
  std::optional<MissingAction> missing;
  std::unique_ptr<Interpreter> interpreters[2];
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      RankProgram program = Program(schedule, rank);
      program.num_steps = 5;
      if (rank == 0) program.step_timeout = absl::Milliseconds(300);
      auto& interpreter = interpreters[rank];
      interpreter = *Interpreter::Make(program, &backends_[rank]);
      interpreter->Attach(std::move(transports[rank]));
      for (int step = 1; step <= 3; ++step) {
        const auto timing = interpreter->RunStep(step);
        // Rank 1 stops after its second step.
        if (rank == 1 && step == 2) return;
        if (timing.ok()) continue;
        EXPECT_THAT(std::string(timing.status().message()),
                    HasSubstr("step 3, rank 0, action 22 (0RB4[x<r1])"));
        missing = interpreter->Missing();
        return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->step(), 3);
  EXPECT_EQ(missing->position(), 22);
  // Since the step began: 0F5 and its send.
  EXPECT_EQ(missing->trace().ended_size(), 2);
  EXPECT_EQ(missing->trace().issued_size(), 3);
}

TEST_F(InterpreterTest, AListThatNeverDrainsDoesNotChooseItsWireAnew) {
  RankProgram program = Program(*ParseSchedule(kNeverDrains), 0);
  program.num_steps = 4;
  program.wire.set_compress("auto");
  EXPECT_THAT(
      std::string(Interpreter::Make(program, &backends_[0]).status().message()),
      HasSubstr("want none, bf16, fp16 or fp8_block"));
}

// Nothing of the reduction ever comes, so it is in flight all the time.
TEST_F(InterpreterTest, AReductionIsInFlightWhileLaterActionsRun) {
  const Schedule schedule = *ParseSchedule(
      "penstock-schedule 1\nname by_hand\nmicrobatches 2\n"
      "placement r0+r1 r0+r1\n"
      "r0: 1B0 1G 0F1 0B0 N 0U 1U\nr1: 1B1 1G 0B1 N 0U 1U\n");
  backends_[0].gradient = at::full({3}, 1.0f, at::kFloat);
  RankProgram program = Program(schedule, 0);
  program.step_timeout = absl::Milliseconds(20);
  auto interpreter = *Interpreter::Make(program, &backends_[0]);
  interpreter->Attach(std::make_unique<UnreceivedTransport>());
  const absl::Status status = interpreter->RunStep(1).status();
  EXPECT_THAT(backends_[0].calls,
              ElementsAre("step 0", "1B0", "1G", "0F1", "0B0"));
  // Only N waits for it.
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("action 4 (N)"));
}

TEST_F(InterpreterTest, CommunicationWithoutAChannelIsRefusedAtOnce) {
  const Schedule schedule = TwoRanks("0F0 0SF0[x>r0]", "");
  EXPECT_EQ(
      Interpreter::Make(Program(schedule, 0), &backends_[0]).status().code(),
      absl::StatusCode::kNotFound);
}

TEST_F(InterpreterTest, CancelBeforeTheTransportCounts) {
  const Schedule schedule = TwoRanks("0U", "1U");
  auto transports = *ConnectInProcess(2, ChannelMap::Of(schedule).channels());
  auto interpreter = *Interpreter::Make(Program(schedule, 0), &backends_[0]);
  interpreter->Cancel(absl::AbortedError("over"));
  interpreter->Attach(std::move(transports[0]));
  EXPECT_EQ(interpreter->RunStep(1).status(), absl::AbortedError("over"));
  EXPECT_TRUE(backends_[0].calls.empty());
}

}  // namespace
}  // namespace penstock
