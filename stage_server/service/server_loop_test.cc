#include "stage_server/service/server_loop.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/service/executor.h"
#include "stage_server/service/fake_engine.h"
#include "stage_server/service/fake_stage_control.h"
#include "stage_server/service/session_client.h"
#include "stage_server/service/session_core.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// A whole stage server but for its engine, and a coordinator's end of it.
class ServerLoopTest : public ::testing::Test {
 protected:
  ServerLoopTest()
      : coordinator_(std::make_unique<FakeStageControl>(/*term=*/4)) {
    thread_ = std::thread([this, address = coordinator_->address()] {
      const auto post = [this](Event event) { loop_.Post(std::move(event)); };
      SessionCore core(
          ServerIdentity{"id-1", "one", 1, "0.1.0", "cpu", "host", 2},
          SessionLimits{});
      Executor executor(FakeParts(world_), SystemClock(), post);
      SessionClient client(address, SystemClock(), post);
      exit_ = loop_.Run(core, client, executor);
      client.Shutdown(absl::Seconds(5));
    });
  }
  ~ServerLoopTest() override { Stop(); }
  void Stop() {
    if (!thread_.joinable()) return;
    loop_.Post(StopRequested{"the test is over"});
    thread_.join();
  }

  void Say(DesiredState::Goal goal, const std::string& job, int64_t epoch,
           int64_t steps = 5) {
    CoordinatorMessage message;
    message.mutable_fence()->set_coordinator_term(term_);
    message.mutable_fence()->set_job_epoch(epoch);
    message.set_idempotency_sequence(++sequence_);
    DesiredState* desired = message.mutable_desired();
    desired->set_goal(goal);
    if (goal != DesiredState::BE_IDLE) {
      desired->set_job_id(job);
      desired->mutable_plan()->mutable_job()->set_steps(steps);
      desired->mutable_plan()->mutable_schedule()->add_ranks();
      desired->add_peers()->set_rank(0);
    }
    ASSERT_TRUE(coordinator_->Say(message));
  }
  std::optional<StageMessage> NextFinished() {
    return coordinator_->Next(
        [](const StageMessage& message) { return message.has_finished(); });
  }
  // The newest step in the next report.
  int64_t NextStep() {
    const auto message = coordinator_->Next(
        [](const StageMessage& message) { return message.has_steps(); });
    if (!message.has_value()) return -1;
    return message->steps().reports().rbegin()->step();
  }
  void RestartCoordinator() {
    const int port = coordinator_->port();
    coordinator_.reset();
    coordinator_ = std::make_unique<FakeStageControl>(++term_, port);
    sequence_ = 0;
  }

  int64_t term_ = 4;
  int64_t sequence_ = 0;
  FakeWorld world_;
  // How often the loop has come round.
  std::atomic<int> turns_ = 0;
  ServerLoop loop_{SystemClock(), [this](const SessionCore&) { ++turns_; }};
  std::unique_ptr<FakeStageControl> coordinator_;
  Exit exit_;
  std::thread thread_;
};

TEST_F(ServerLoopTest, BeatsWhileItIsIdle) {
  for (int beat = 0; beat < 2; ++beat) {
    EXPECT_TRUE(coordinator_
                    ->Next([](const StageMessage& message) {
                      return message.has_heartbeat();
                    })
                    .has_value());
  }
}

TEST_F(ServerLoopTest, TurnsWhileNothingHappens) {
  coordinator_->Stop();
  const int64_t start = MonotonicNanos();
  int seen = turns_;
  for (int turn = 0; turn < 2; ++turn) {
    while (turns_ == seen) std::this_thread::yield();
    seen = turns_;
  }
  EXPECT_LT(absl::Nanoseconds(MonotonicNanos() - start), absl::Seconds(10));
}

TEST_F(ServerLoopTest, RunsTwoJobsOneAfterTheOther) {
  for (const char* job : {"job-1", "job-2"}) {
    Say(DesiredState::RUN, job, 1);
    const auto finished = NextFinished();
    ASSERT_TRUE(finished.has_value());
    EXPECT_EQ(finished->finished().job_id(), job);
    EXPECT_EQ(finished->finished().step(), 5);
    Say(DesiredState::BE_IDLE, "", 0);
    ASSERT_TRUE(coordinator_->NextStatus(StageStatus::IDLE).has_value());
  }
}

TEST_F(ServerLoopTest, ACancelledJobEndsInTheMiddleOfAStep) {
  world_.AllowSteps(2);
  Say(DesiredState::RUN, "job-1", 1);
  ASSERT_TRUE(coordinator_->NextStatus(StageStatus::RUNNING).has_value());
  Say(DesiredState::BE_IDLE, "", 0);
  const auto idle = coordinator_->NextStatus(StageStatus::IDLE);
  ASSERT_TRUE(idle.has_value());
  EXPECT_EQ(idle->status().job_id(), "job-1");
}

TEST_F(ServerLoopTest, AJobOutlivesItsCoordinatorAndReportsToTheNext) {
  world_.AllowSteps(2);
  Say(DesiredState::RUN, "job-1", 1);
  while (NextStep() < 2) {
  }
  RestartCoordinator();
  world_.AllowSteps(5);
  const auto status = coordinator_->NextStatus(StageStatus::RUNNING);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->status().job_id(), "job-1");
  EXPECT_EQ(status->fence().coordinator_term(), 5);
  EXPECT_EQ(coordinator_->registrations().at(0).job_id(), "job-1");
  // Nothing had been acknowledged, so the first step comes again.
  const auto steps = coordinator_->Next(
      [](const StageMessage& message) { return message.has_steps(); });
  ASSERT_TRUE(steps.has_value());
  EXPECT_EQ(steps->steps().reports(0).step(), 1);
  EXPECT_TRUE(NextFinished().has_value());
}

TEST_F(ServerLoopTest, ADesiredStateOfAnOlderTermIsRefused) {
  RestartCoordinator();
  ASSERT_TRUE(coordinator_->NextStatus(StageStatus::IDLE).has_value());
  term_ = 4;
  Say(DesiredState::RUN, "old", 1);
  term_ = 5;
  Say(DesiredState::RUN, "new", 1);
  const auto status = coordinator_->NextStatus(StageStatus::LOADING);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->status().job_id(), "new");
}

TEST_F(ServerLoopTest, AnEngineThatFailsFaultsTheJobAndNotTheServer) {
  world_.Set(&FakeWorld::step_status, absl::InternalError("boom"));
  Say(DesiredState::RUN, "job-1", 1);
  const auto status = coordinator_->NextStatus(StageStatus::FAULTED);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->status().error(), "boom");
  world_.Set(&FakeWorld::step_status, absl::OkStatus());
  Say(DesiredState::RUN, "job-2", 1);
  EXPECT_TRUE(NextFinished().has_value());
}

TEST_F(ServerLoopTest, StoppingInAStepTellsTheCoordinatorWhy) {
  world_.AllowSteps(0);
  Say(DesiredState::RUN, "job-1", 1);
  ASSERT_TRUE(coordinator_->NextStatus(StageStatus::RUNNING).has_value());
  Stop();
  EXPECT_TRUE(exit_.status.ok());
  EXPECT_TRUE(exit_.executor_left);
  const auto status = coordinator_->NextStatus(StageStatus::FAULTED);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->status().error(), "the test is over");
}

TEST_F(ServerLoopTest, ARefusedServerEndsWithTheReason) {
  ASSERT_TRUE(coordinator_->NextStatus(StageStatus::IDLE).has_value());
  coordinator_->Refuse({grpc::StatusCode::FAILED_PRECONDITION,
                        "another live server holds this id"});
  coordinator_->EndSession(grpc::Status(grpc::StatusCode::ABORTED, "again"));
  thread_.join();
  EXPECT_THAT(exit_.status.message(), HasSubstr("holds this id"));
}

}  // namespace
}  // namespace penstock
