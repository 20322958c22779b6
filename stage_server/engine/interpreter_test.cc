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

// Writes down what it is asked; the tensors that it sends hold the microbatch.
class RecordingBackend : public StageBackend {
 public:
  absl::Status BeginStep(int64_t update) override {
    calls.push_back(absl::StrCat("step ", update));
    return absl::OkStatus();
  }
  absl::Status Forward(StageId stage, MicrobatchId microbatch) override {
    calls.push_back(absl::StrCat(stage.value(), "F", microbatch.value()));
    return forward_status;
  }
  absl::Status Backward(StageId stage, MicrobatchId microbatch,
                        Half half) override {
    calls.push_back(
        absl::StrCat(stage.value(), "B", microbatch.value(), HalfText(half)));
    return absl::OkStatus();
  }
  absl::Status Recompute(StageId stage, MicrobatchId microbatch) override {
    calls.push_back(absl::StrCat(stage.value(), "R", microbatch.value()));
    return absl::OkStatus();
  }
  absl::Status BackwardInput(StageId stage, MicrobatchId microbatch,
                             Half half) override {
    calls.push_back(
        absl::StrCat(stage.value(), "I", microbatch.value(), HalfText(half)));
    return absl::OkStatus();
  }
  absl::Status BackwardWeight(StageId stage, MicrobatchId microbatch,
                              Half half) override {
    calls.push_back(
        absl::StrCat(stage.value(), "W", microbatch.value(), HalfText(half)));
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
  absl::Status Update(StageId stage) override {
    calls.push_back(absl::StrCat(stage.value(), "U"));
    return absl::OkStatus();
  }

  absl::Status EndStep() override { return end_status; }

  std::vector<std::string> calls;
  std::vector<LayerSquares> parts;
  std::vector<std::optional<double>> losses;
  GlobalNorm norm;
  std::optional<double> mean_loss;
  at::Tensor gradient;
  absl::Status forward_status;
  absl::Status end_status;
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
  return {RankId(rank),
          schedule,
          {{0, 2}, {1}},
          losses,
          /*receive_lookahead=*/1,
          absl::Seconds(10)};
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
  EXPECT_EQ(missing->action(), "0RB0[x<r1]");
  EXPECT_EQ(missing->peer(), 1);
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
