#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/service/session_core.h"
#include "stage_server/service/session_core_fixture.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- Reports --------------------------------------------------------------

TEST_F(SessionCoreTest, StepsAreBatched) {
  Run();
  FinishStep(1);
  EXPECT_THAT(Steps(), ElementsAre(1));
  now_ += absl::Milliseconds(50);
  FinishStep(2);
  FinishStep(3);
  EXPECT_THAT(Steps(), IsEmpty());
  now_ += absl::Milliseconds(50);
  EXPECT_LE(core_.next_wake(), now_);
  Apply(Tick{});
  EXPECT_THAT(Steps(), ElementsAre(2, 3));
}

TEST_F(SessionCoreTest, AStepsTraceGoesWithItsReport) {
  Run();
  StepDone event;
  event.epoch = kJob;
  event.report.set_step(1);
  event.trace.emplace().set_step(1);
  Apply(event);
  ASSERT_EQ(sent_.size(), 1u);
  ASSERT_EQ(sent_[0].steps().traces_size(), 1);
  EXPECT_EQ(sent_[0].steps().traces(0).step(), 1);
}

TEST_F(SessionCoreTest, WhatWaitedTooLongGoesWithTheFault) {
  Run();
  MissingAction missing;
  missing.set_position(4);
  Apply(Failed{kJob, absl::DeadlineExceededError("receive"), std::nullopt,
               missing});
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_EQ(sent_.back().status().missing().position(), 4);
}

TEST_F(SessionCoreTest, ARankThatLeftAStepSaysWhatItWasAt) {
  Run();
  SayIdle();
  MissingAction missing;
  missing.set_position(7);
  Apply(Left{kJob, missing});
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
  EXPECT_EQ(sent_.back().status().job_id(), "job-1");
  EXPECT_EQ(sent_.back().status().missing().position(), 7);
}

TEST_F(SessionCoreTest, TheEndIsSentAtOnceAfterTheLastSteps) {
  Run();
  FinishStep(1);
  FinishStep(2);
  LayerDigest digest;
  digest.set_name("head");
  Apply(RunDone{kJob, {digest}});
  EXPECT_THAT(Steps(), ElementsAre(2));
  ASSERT_TRUE(sent_.back().has_finished());
  EXPECT_EQ(sent_.back().finished().step(), 2);
  EXPECT_EQ(sent_.back().finished().layers(0).name(), "head");
}

TEST_F(SessionCoreTest, WhatHasNoStepLeftEndsWithTheStepItWasRestoredTo) {
  for (const bool weights_only : {false, true}) {
    EpochKey epoch = kJob;
    epoch.job_epoch += weights_only ? 1 : 0;
    if (!weights_only) Open();
    DesiredState desired = Desired(DesiredState::RUN, epoch);
    desired.mutable_restore()->mutable_checkpoint()->set_step(40);
    desired.mutable_restore()->set_weights_only(weights_only);
    Say(desired, epoch.job_epoch);
    if (weights_only) Apply(Left{kJob, std::nullopt});
    Apply(Loaded{epoch, DataAddress()});
    Apply(Connected{epoch});
    Apply(RunDone{epoch, {}});
    ASSERT_TRUE(sent_.back().has_finished());
    EXPECT_EQ(sent_.back().finished().step(), weights_only ? 0 : 40);
  }
}

TEST_F(SessionCoreTest, TheNextSessionHearsWhatWasNotAcknowledged) {
  Run();
  for (int step = 1; step <= 3; ++step) {
    FinishStep(step);
    now_ += absl::Milliseconds(100);
  }
  Acknowledge(2);
  Break();
  FinishStep(4);
  Reopen(8);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::RUNNING));
  EXPECT_THAT(Steps(), ElementsAre(3, 4));
  EXPECT_EQ(sent_.back().fence().job_epoch(), 3);
  EXPECT_EQ(sent_.back().fence().coordinator_term(), 8);
}

TEST_F(SessionCoreTest, AnAcknowledgementOfAnotherEpochForgetsNothing) {
  Run();
  FinishStep(1);
  MessageReceived event;
  event.session = session_;
  event.message.mutable_fence()->set_coordinator_term(7);
  event.message.mutable_fence()->set_job_epoch(2);
  event.message.mutable_ack()->set_job_id("job-1");
  event.message.mutable_ack()->set_step(1);
  Apply(event);
  Break();
  Reopen();
  EXPECT_THAT(Steps(), ElementsAre(1));
}

TEST_F(SessionCoreTest, TheEndWaitsForItsAcknowledgement) {
  Run();
  FinishStep(1);
  Break();
  Apply(RunDone{kJob, {}});
  Reopen();
  EXPECT_TRUE(sent_.back().has_finished());
  Acknowledge(1, /*finished=*/true);
  Break();
  Reopen();
  EXPECT_FALSE(sent_.back().has_finished());
}

TEST_F(SessionCoreTest, LogLinesOfAJobGoUp) {
  Run();
  now_ += absl::Seconds(0.5);
  Apply(OwnLogLine{now_, "info", "hello"});
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].logs().job_id(), "job-1");
  EXPECT_EQ(sent_[0].logs().entries(0).text(), "hello");
  EXPECT_EQ(sent_[0].logs().entries(0).sequence(), 1);
}

TEST_F(SessionCoreTest, LogLinesOutsideAJobStayHere) {
  Open();
  Apply(OwnLogLine{now_, "info", "hello"});
  EXPECT_THAT(effects_, IsEmpty());
}

TEST_F(SessionCoreTest, BeatsOnceASecondAndSaysTheStep) {
  Run();
  FinishStep(1);
  for (int beat = 0; beat < 3; ++beat) {
    const absl::Time before = now_;
    while (true) {
      now_ = core_.next_wake();
      Apply(Tick{});
      if (!sent_.empty() && sent_.back().has_heartbeat()) break;
    }
    EXPECT_EQ(now_ - before, absl::Seconds(1));
    EXPECT_EQ(sent_.back().heartbeat().step(), 1);
  }
}

// ---- Without a session ----------------------------------------------------

TEST_F(SessionCoreTest, TheJobGoesOnWithoutASession) {
  Run();
  Break();
  EXPECT_EQ(Find<LeaveEpoch>(), nullptr);
  FinishStep(1);
  EXPECT_THAT(sent_, IsEmpty());
  now_ = core_.next_wake();
  Apply(Tick{});
  EXPECT_EQ(Find<CallRegister>()->request.job_id(), "job-1");
  EXPECT_EQ(Find<CallRegister>()->request.job_epoch(), 3);
}

TEST_F(SessionCoreTest, GivesTheEpochUpWhenTheGraceIsOver) {
  Run();
  Break();
  now_ += absl::Seconds(60) - absl::Nanoseconds(1);
  Apply(Tick{});
  EXPECT_EQ(Find<LeaveEpoch>(), nullptr);
  now_ += absl::Nanoseconds(1);
  Apply(Tick{});
  ASSERT_NE(Find<LeaveEpoch>(), nullptr);
  EXPECT_EQ(Find<LeaveEpoch>()->why.message(),
            "no session with the coordinator for 1m");
}

TEST_F(SessionCoreTest, WakesForTheGraceEvenWhileARegistrationHangs) {
  Run();
  Break();
  now_ = core_.next_wake();
  Apply(Tick{});
  ASSERT_NE(Find<CallRegister>(), nullptr);
  EXPECT_NE(core_.next_wake(), absl::InfiniteFuture());
}

TEST_F(SessionCoreTest, FailedAttemptsDoNotProlongTheGrace) {
  Run();
  const absl::Time broken = now_;
  Break();
  while (Find<LeaveEpoch>() == nullptr) {
    now_ = core_.next_wake();
    Apply(Tick{});
    if (Find<CallRegister>() != nullptr) {
      Apply(RegisterFailed{absl::UnavailableError("refused")});
    }
  }
  EXPECT_EQ(now_ - broken, absl::Seconds(60));
}

TEST_F(SessionCoreTest, AServerThatGaveUpSaysSoWhenItIsAskedToRun) {
  Run();
  Break();
  now_ += absl::Seconds(60);
  Apply(Tick{});
  Apply(Left{kJob});
  if (Find<CallRegister>() == nullptr) {
    Apply(RegisterFailed{absl::UnavailableError("refused")});
  }
  Reopen();
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
  Say(DesiredState::RUN);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_THAT(sent_[0].status().error(), HasSubstr("no session"));
}

// ---- Stopping -------------------------------------------------------------

TEST_F(SessionCoreTest, AnIdleServerStopsAtOnce) {
  Open();
  Apply(StopRequested{"SIGTERM"});
  EXPECT_NE(Find<CloseSession>(), nullptr);
  ASSERT_NE(Find<Exit>(), nullptr);
  EXPECT_TRUE(Find<Exit>()->status.ok());
}

TEST_F(SessionCoreTest, ARunningServerSaysWhyAndWaitsForItsExecutor) {
  Run();
  Apply(StopRequested{"server one was told to stop"});
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_EQ(sent_.back().status().error(), "server one was told to stop");
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  EXPECT_EQ(Find<Exit>(), nullptr);
  Apply(Left{kJob});
  ASSERT_NE(Find<Exit>(), nullptr);
  EXPECT_TRUE(Find<Exit>()->executor_left);
}

TEST_F(SessionCoreTest, DoesNotWaitForAnExecutorForever) {
  Run();
  Apply(StopRequested{"SIGTERM"});
  now_ += absl::Milliseconds(1500);
  EXPECT_LE(core_.next_wake(), now_);
  Apply(Tick{});
  ASSERT_NE(Find<Exit>(), nullptr);
  EXPECT_TRUE(Find<Exit>()->status.ok());
  EXPECT_FALSE(Find<Exit>()->executor_left);
}

TEST_F(SessionCoreTest, StopsWhileItWaitsToRegister) {
  Keep(core_.Start(now_));
  Apply(RegisterFailed{absl::UnavailableError("refused")});
  Apply(StopRequested{"SIGTERM"});
  EXPECT_EQ(Find<CloseSession>(), nullptr);
  EXPECT_NE(Find<Exit>(), nullptr);
}

TEST_F(SessionCoreTest, AStoppingServerTakesNoNewWork) {
  Run();
  Apply(StopRequested{"SIGTERM"});
  Say(DesiredState::LOAD, {"job-2", 1});
  EXPECT_THAT(effects_, IsEmpty());
  Break();
  EXPECT_EQ(Find<CallRegister>(), nullptr);
  now_ += absl::Seconds(1);
  Apply(Tick{});
  EXPECT_EQ(Find<CallRegister>(), nullptr);
}

TEST_F(SessionCoreTest, ARefusalWhileRunningLeavesTheEpochFirst) {
  Run();
  Break();
  now_ = core_.next_wake();
  Apply(Tick{});
  Apply(RegisterFailed{absl::FailedPreconditionError("version")});
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  EXPECT_EQ(Find<Exit>(), nullptr);
  Apply(Left{kJob});
  ASSERT_NE(Find<Exit>(), nullptr);
  EXPECT_FALSE(Find<Exit>()->status.ok());
}

// ---- Checkpoints ----------------------------------------------------------

TEST_F(SessionCoreTest, StoreAndRestorePointGoWithTheLoad) {
  Open();
  DesiredState desired = Desired(DesiredState::LOAD, kJob);
  desired.mutable_checkpoints()->set_root("/shared");
  desired.mutable_restore()->mutable_state()->set_step(40);
  Say(desired, kJob.job_epoch);
  const auto* const load = Find<LoadLayers>();
  ASSERT_NE(load, nullptr);
  ASSERT_TRUE(load->checkpoints.has_value() && load->restore.has_value());
  EXPECT_EQ(load->checkpoints->root(), "/shared");
  EXPECT_EQ(load->restore->state().step(), 40);
  EXPECT_EQ(load->coordinator_term, 7);
}

TEST_F(SessionCoreTest, WithoutCheckpointsTheLoadHasNone) {
  Open();
  Say(DesiredState::LOAD);
  const auto* const load = Find<LoadLayers>();
  ASSERT_NE(load, nullptr);
  EXPECT_FALSE(load->checkpoints.has_value() || load->restore.has_value());
  EXPECT_EQ(Find<SetMarks>(), nullptr);
}

TEST_F(SessionCoreTest, MarksArePassedOnOnceForEachChange) {
  Open();
  DesiredState desired = Desired(DesiredState::RUN, kJob);
  desired.set_snapshot_step(5);
  Say(desired, kJob.job_epoch);
  const auto* marks = Find<SetMarks>();
  ASSERT_NE(marks, nullptr);
  EXPECT_EQ(marks->epoch, kJob);
  EXPECT_EQ(marks->snapshot_step, 5);
  EXPECT_EQ(marks->stop_step, 0);
  Say(desired, kJob.job_epoch);
  EXPECT_EQ(Find<SetMarks>(), nullptr);
  desired.set_stop_step(9);
  Say(desired, kJob.job_epoch);
  marks = Find<SetMarks>();
  ASSERT_NE(marks, nullptr);
  EXPECT_EQ(marks->snapshot_step, 5);
  EXPECT_EQ(marks->stop_step, 9);
}

TEST_F(SessionCoreTest, WhatBecameOfASnapshotIsToldAgainInANewSession) {
  Run();
  DesiredState desired = Desired(DesiredState::RUN, kJob);
  desired.set_snapshot_step(5);
  Say(desired, kJob.job_epoch);
  SnapshotTaken taken{kJob, {}};
  taken.report.set_step(5);
  Apply(taken);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].snapshot().step(), 5);
  EXPECT_EQ(sent_[0].fence().job_epoch(), kJob.job_epoch);
  ShardsStored stored{kJob, {}};
  stored.report.mutable_checkpoint()->set_step(5);
  Apply(stored);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].shards().checkpoint().step(), 5);
  Break();
  Reopen();
  bool has_snapshot = false, has_shards = false;
  for (const StageMessage& message : sent_) {
    has_snapshot = has_snapshot || message.has_snapshot();
    has_shards = has_shards || message.has_shards();
  }
  EXPECT_TRUE(has_snapshot && has_shards);
}

TEST_F(SessionCoreTest, ASnapshotThatFailedIsLoggedAndReported) {
  Run();
  DesiredState desired = Desired(DesiredState::RUN, kJob);
  desired.set_snapshot_step(5);
  Say(desired, kJob.job_epoch);
  ShardsStored stored{kJob, {}};
  stored.report.mutable_checkpoint()->set_step(5);
  stored.report.set_error("disk full");
  Apply(stored);
  EXPECT_THAT(Logged(), HasSubstr("no checkpoint of step 5: disk full"));
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].shards().error(), "disk full");
}

TEST_F(SessionCoreTest, SnapshotsOfAnEpochThatIsLeftAreNotTold) {
  Run();
  SayIdle();
  SnapshotTaken taken{kJob, {}};
  Apply(taken);
  EXPECT_THAT(sent_, IsEmpty());
}

}  // namespace
}  // namespace penstock
