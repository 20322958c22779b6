#include "stage_server/service/session_core.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/service/session_core_fixture.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- Registration ---------------------------------------------------------

TEST_F(SessionCoreTest, StartsByRegisteringWithWhatItIs) {
  Keep(core_.Start(now_));
  const auto* call = Find<CallRegister>();
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(call->request.server_id(), "id-1");
  EXPECT_EQ(call->request.name(), "one");
  EXPECT_EQ(call->request.incarnation(), 0xabcu);
  EXPECT_EQ(call->request.build_version(), "0.1.0");
  EXPECT_EQ(call->request.device(), "cpu");
  EXPECT_EQ(call->request.host_identity(), "host");
  EXPECT_EQ(call->request.cores(), 2);
  EXPECT_EQ(call->request.memory_bytes(), 8192);
  EXPECT_EQ(call->request.host().unix_nanos(), absl::ToUnixNanos(now_));
  EXPECT_EQ(call->request.job_id(), "");
  EXPECT_EQ(call->request.fence().coordinator_term(), 0);
}

TEST_F(SessionCoreTest, OpensASessionAndSaysHelloBeforeAnythingElse) {
  Open();
  ASSERT_NE(Find<OpenSession>(), nullptr);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[0].hello().server_id(), "id-1");
  EXPECT_EQ(sent_[0].fence().coordinator_term(), 7);
  EXPECT_EQ(sent_[0].incarnation(), 0xabcu);
  EXPECT_EQ(sent_[0].idempotency_sequence(), 1);
  EXPECT_EQ(sent_[1].idempotency_sequence(), 2);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
}

TEST_F(SessionCoreTest, ARetryOfARegistrationHasTheSameKey) {
  Keep(core_.Start(now_));
  const std::string first = Find<CallRegister>()->request.idempotency_key();
  Apply(RegisterFailed{absl::UnavailableError("refused")});
  now_ = core_.next_wake();
  Apply(Tick{});
  EXPECT_EQ(Find<CallRegister>()->request.idempotency_key(), first);
  AnswerRegister();
  Break();
  now_ = core_.next_wake();
  Apply(Tick{});
  EXPECT_NE(Find<CallRegister>()->request.idempotency_key(), first);
}

TEST_F(SessionCoreTest, BacksOffFrom200MillisecondsTo5Seconds) {
  Keep(core_.Start(now_));
  std::vector<absl::Duration> waits;
  for (int attempt = 0; attempt < 7; ++attempt) {
    Apply(RegisterFailed{absl::UnavailableError("refused")});
    waits.push_back(core_.next_wake() - now_);
    now_ = core_.next_wake();
    Apply(Tick{});
    ASSERT_NE(Find<CallRegister>(), nullptr);
  }
  EXPECT_THAT(waits,
              ElementsAre(absl::Milliseconds(200), absl::Milliseconds(400),
                          absl::Milliseconds(800), absl::Milliseconds(1600),
                          absl::Milliseconds(3200), absl::Seconds(5),
                          absl::Seconds(5)));
}

TEST_F(SessionCoreTest, DoesNotRegisterBeforeTheBackOffIsOver) {
  Keep(core_.Start(now_));
  Apply(RegisterFailed{absl::UnavailableError("refused")});
  now_ += absl::Milliseconds(199);
  Apply(Tick{});
  EXPECT_EQ(Find<CallRegister>(), nullptr);
  now_ += absl::Milliseconds(1);
  Apply(Tick{});
  EXPECT_NE(Find<CallRegister>(), nullptr);
}

TEST_F(SessionCoreTest, ASessionThatNeverSpokeDoesNotResetTheBackOff) {
  Open();
  Break();
  EXPECT_EQ(core_.next_wake() - now_, absl::Milliseconds(200));
  Reopen();
  Break();
  EXPECT_EQ(core_.next_wake() - now_, absl::Milliseconds(400));
  Reopen();
  SayIdle();
  Break();
  EXPECT_EQ(core_.next_wake() - now_, absl::Milliseconds(200));
}

TEST_F(SessionCoreTest, TheSameTroubleIsLoggedOnce) {
  Keep(core_.Start(now_));
  Apply(RegisterFailed{absl::UnavailableError("refused")});
  EXPECT_THAT(Logged(), HasSubstr("refused"));
  now_ = core_.next_wake();
  Apply(Tick{});
  Apply(RegisterFailed{absl::UnavailableError("refused")});
  EXPECT_EQ(Logged(), "");
  now_ = core_.next_wake();
  Apply(Tick{});
  Apply(RegisterFailed{absl::UnavailableError("no route")});
  EXPECT_THAT(Logged(), HasSubstr("no route"));
}

TEST_F(SessionCoreTest, AFailedPreconditionEndsTheProcessWithTheReason) {
  Keep(core_.Start(now_));
  Apply(RegisterFailed{absl::FailedPreconditionError(
      "build version 0.1.0, wanted 0.2.0; install that one")});
  const auto* exit = Find<Exit>();
  ASSERT_NE(exit, nullptr);
  EXPECT_EQ(exit->status.message(),
            "the coordinator refuses this server: build version 0.1.0, wanted "
            "0.2.0; install that one");
  EXPECT_TRUE(exit->executor_left);
}

TEST_F(SessionCoreTest, ARefusalOfTheSessionEndsTheProcessToo) {
  Open();
  Apply(SessionEnded{session_, absl::FailedPreconditionError("twice")});
  ASSERT_NE(Find<Exit>(), nullptr);
}

TEST_F(SessionCoreTest, NothingComesAfterTheExit) {
  Keep(core_.Start(now_));
  Apply(RegisterFailed{absl::FailedPreconditionError("no")});
  AnswerRegister();
  EXPECT_THAT(effects_, IsEmpty());
}

// ---- Terms ----------------------------------------------------------------

TEST_F(SessionCoreTest, AnOlderCoordinatorThatAnswersIsNotServed) {
  Open(7);
  Break();
  now_ = core_.next_wake();
  Apply(Tick{});
  AnswerRegister(6);
  EXPECT_EQ(Find<OpenSession>(), nullptr);
  EXPECT_EQ(core_.term(), 7);
  now_ = core_.next_wake();
  Apply(Tick{});
  EXPECT_EQ(Find<CallRegister>()->request.fence().coordinator_term(), 7);
}

TEST_F(SessionCoreTest, ANewerTermIsAdopted) {
  Open(7);
  Break();
  Reopen(8);
  EXPECT_EQ(core_.term(), 8);
  EXPECT_EQ(sent_[0].fence().coordinator_term(), 8);
}

TEST_F(SessionCoreTest, AMessageOfASmallerTermIsRefused) {
  Open(7);
  Say(Desired(DesiredState::RUN, kJob), 3, /*sequence=*/1, /*term=*/6);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  EXPECT_THAT(Logged(), HasSubstr("term 6"));
}

TEST_F(SessionCoreTest, AMessageOfALargerTermIsAdopted) {
  Open(7);
  Say(Desired(DesiredState::RUN, kJob), 3, /*sequence=*/1, /*term=*/8);
  EXPECT_NE(Find<LoadLayers>(), nullptr);
  EXPECT_EQ(core_.term(), 8);
}

TEST_F(SessionCoreTest, WhatAnEarlierSessionStillDeliversIsIgnored) {
  Open();
  Break();
  Reopen();
  --session_;
  Say(DesiredState::RUN);
  EXPECT_THAT(effects_, IsEmpty());
}

// ---- Towards the goal -----------------------------------------------------

TEST_F(SessionCoreTest, LoadsConnectsAndRunsAsTheGoalGrows) {
  Open();
  Say(DesiredState::LOAD);
  ASSERT_NE(Find<LoadLayers>(), nullptr);
  EXPECT_EQ(Find<LoadLayers>()->epoch, kJob);
  EXPECT_EQ(Find<LoadLayers>()->rank, RankId(1));
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::LOADING));

  DataAddress address;
  address.set_host_identity("host-1");
  Apply(Loaded{kJob, address});
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::LOADED));
  EXPECT_EQ(sent_[0].status().data_address().host_identity(), "host-1");
  EXPECT_EQ(sent_[0].fence().job_epoch(), 3);
  EXPECT_EQ(Find<ConnectPeers>(), nullptr);

  Say(DesiredState::CONNECT);
  ASSERT_NE(Find<ConnectPeers>(), nullptr);
  EXPECT_EQ(Find<ConnectPeers>()->peers[0].host_identity(), "host-0");
  EXPECT_EQ(Find<ConnectPeers>()->epoch_secret, "secret");
  Apply(Connected{kJob});
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::READY));
  EXPECT_EQ(Find<RunSteps>(), nullptr);

  Say(DesiredState::RUN);
  EXPECT_NE(Find<RunSteps>(), nullptr);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::RUNNING));
}

TEST_F(SessionCoreTest, AGoalThatComesEarlyIsReachedWhenItCanBe) {
  Open();
  Say(DesiredState::RUN);
  EXPECT_EQ(Find<ConnectPeers>(), nullptr);
  Apply(Loaded{kJob, DataAddress()});
  EXPECT_NE(Find<ConnectPeers>(), nullptr);
  Apply(Connected{kJob});
  EXPECT_NE(Find<RunSteps>(), nullptr);
}

TEST_F(SessionCoreTest, HearingAGoalAgainDoesNothing) {
  Run();
  Say(Desired(DesiredState::RUN, kJob), 3, /*sequence=*/sequence_);
  EXPECT_THAT(effects_, IsEmpty());
  Say(DesiredState::RUN);
  EXPECT_THAT(effects_, IsEmpty());
}

TEST_F(SessionCoreTest, AGoalBehindIsAnsweredWithHowFarItIs) {
  Run();
  Say(DesiredState::LOAD);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::RUNNING));
}

TEST_F(SessionCoreTest, AnEarlierDesiredStateThatComesLateIsDropped) {
  Open();
  sequence_ = 4;
  Say(DesiredState::LOAD);
  DesiredState idle;
  idle.set_goal(DesiredState::BE_IDLE);
  Say(idle, 0, /*sequence=*/4);
  EXPECT_THAT(effects_, IsEmpty());
}

TEST_F(SessionCoreTest, ARankOutsideThePlanIsAFault) {
  Open();
  DesiredState desired = Desired(DesiredState::LOAD, kJob);
  desired.set_rank(2);
  Say(desired, 3);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_EQ(sent_[0].status().error(),
            "the plan has 2 ranks and this server was given rank 2");
}

TEST_F(SessionCoreTest, AMissingPeerAddressIsAFault) {
  Open();
  DesiredState desired = Desired(DesiredState::CONNECT, kJob);
  desired.mutable_peers()->RemoveLast();
  Say(desired, 3);
  Apply(Loaded{kJob, DataAddress()});
  EXPECT_EQ(Find<ConnectPeers>(), nullptr);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::LOADED, StageStatus::FAULTED));
  EXPECT_THAT(sent_.back().status().error(), HasSubstr("lacks rank 1"));
}

TEST_F(SessionCoreTest, APeerNamedTwiceIsAFault) {
  Open();
  DesiredState desired = Desired(DesiredState::CONNECT, kJob);
  desired.mutable_peers(1)->set_rank(0);
  Say(desired, 3);
  Apply(Loaded{kJob, DataAddress()});
  EXPECT_THAT(sent_.back().status().error(), HasSubstr("rank 0"));
}

// ---- Leaving --------------------------------------------------------------

TEST_F(SessionCoreTest, IdleWhileIdleIsConfirmedOnce) {
  Open();
  SayIdle();
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
  DesiredState idle;
  idle.set_goal(DesiredState::BE_IDLE);
  Say(idle, 0, /*sequence=*/sequence_);
  EXPECT_THAT(effects_, IsEmpty());
}

TEST_F(SessionCoreTest, IdleWhileRunningCancelsAndReportsWhenTheExecutorLeft) {
  Run();
  SayIdle();
  ASSERT_NE(Find<LeaveEpoch>(), nullptr);
  EXPECT_EQ(Find<LeaveEpoch>()->epoch, kJob);
  EXPECT_EQ(Find<LeaveEpoch>()->why,
            absl::CancelledError("the job was cancelled"));
  EXPECT_THAT(Phases(), IsEmpty());
  Apply(Failed{kJob, absl::CancelledError("the job was cancelled")});
  EXPECT_THAT(Phases(), IsEmpty());
  Apply(Left{kJob});
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
  EXPECT_EQ(sent_[0].status().job_id(), "job-1");
  EXPECT_EQ(sent_[0].fence().job_epoch(), 3);
}

TEST_F(SessionCoreTest, AnotherEpochWaitsUntilTheExecutorHasLeft) {
  Run();
  const EpochKey next{"job-1", 4};
  Say(DesiredState::LOAD, next);
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  Apply(Left{kJob});
  ASSERT_NE(Find<LoadLayers>(), nullptr);
  EXPECT_EQ(Find<LoadLayers>()->epoch, next);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE, StageStatus::LOADING));
}

TEST_F(SessionCoreTest, IdleDuringTheWaitForgetsTheNextEpoch) {
  Run();
  Say(DesiredState::LOAD, {"job-2", 1});
  SayIdle();
  Apply(Left{kJob});
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
}

TEST_F(SessionCoreTest, AnotherJobMayHaveASmallerEpoch) {
  Run();
  SayIdle();
  Apply(Left{kJob});
  Say(DesiredState::LOAD, {"job-2", 1});
  EXPECT_NE(Find<LoadLayers>(), nullptr);
}

TEST_F(SessionCoreTest, ASmallerEpochOfTheSameJobIsRefused) {
  Run();
  Say(DesiredState::RUN, {"job-1", 2});
  EXPECT_EQ(Find<LeaveEpoch>(), nullptr);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  EXPECT_THAT(Logged(), HasSubstr("job-1 epoch 2"));
}

TEST_F(SessionCoreTest, AnEpochThatWasLeftIsNeverEnteredAgain) {
  Run();
  SayIdle();
  Say(DesiredState::RUN);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  Apply(Left{kJob});
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  Say(DesiredState::RUN);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_THAT(sent_[0].status().error(), HasSubstr("the job was cancelled"));
}

TEST_F(SessionCoreTest, LateEventsOfAnEpochThatIsOverChangeNothing) {
  Run();
  Say(DesiredState::LOAD, {"job-2", 1});
  FinishStep(1);
  EXPECT_THAT(effects_, IsEmpty());
  Apply(Left{kJob});
  FinishStep(2);
  EXPECT_THAT(effects_, IsEmpty());
  Apply(Left{kJob});
  EXPECT_THAT(effects_, IsEmpty());
}

// ---- Faults ---------------------------------------------------------------

TEST_F(SessionCoreTest, AnEngineErrorBecomesAFaultWithItsText) {
  Run();
  Apply(Failed{kJob, absl::FailedPreconditionError(
                         "the loss of step 4 is not finite (stage 1)")});
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_EQ(sent_.back().status().error(),
            "the loss of step 4 is not finite (stage 1)");
  EXPECT_EQ(Find<Exit>(), nullptr);
}

TEST_F(SessionCoreTest, AFaultNamesTheRankThatIsToBlame) {
  Run();
  Apply(Failed{kJob, absl::UnavailableError("rank 0 is gone"), RankId(0)});
  ASSERT_TRUE(sent_.back().status().has_suspect_rank());
  EXPECT_EQ(sent_.back().status().suspect_rank(), 0);
}

TEST_F(SessionCoreTest, StepsLeaveBeforeTheFaultThatFollowsThem) {
  Run();
  now_ += absl::Milliseconds(10);
  FinishStep(1);
  FinishStep(2);
  Apply(Failed{kJob, absl::InternalError("boom")});
  ASSERT_GE(sent_.size(), 2u);
  EXPECT_THAT(Steps(), ElementsAre(2));
  EXPECT_TRUE(sent_.back().has_status());
}

TEST_F(SessionCoreTest, AFaultedServerServesTheNextJob) {
  Run();
  Apply(Failed{kJob, absl::InternalError("boom")});
  SayIdle();
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  Apply(Left{kJob});
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
  Say(DesiredState::LOAD, {"job-2", 1});
  EXPECT_NE(Find<LoadLayers>(), nullptr);
}

TEST_F(SessionCoreTest, AFaultIsToldAgainInTheNextSession) {
  Run();
  Break();
  Apply(Failed{kJob, absl::InternalError("boom")});
  Reopen();
  ASSERT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_EQ(sent_[1].status().error(), "boom");
}

// ---- What people see ------------------------------------------------------

TEST_F(SessionCoreTest, SaysInALineWhatItIsAt) {
  Keep(core_.Start(now_));
  EXPECT_EQ(core_.StatusLine(), "idle; no coordinator");
  AnswerRegister();
  EXPECT_EQ(core_.StatusLine(), "idle");
  Say(DesiredState::RUN);
  EXPECT_EQ(core_.StatusLine(), ToString(kJob) + ", rank 1: loading");
  Apply(Loaded{kJob, DataAddress()});
  EXPECT_EQ(core_.StatusLine(), ToString(kJob) + ", rank 1: connecting");
  Apply(Connected{kJob});
  EXPECT_EQ(core_.StatusLine(), ToString(kJob) + ", rank 1: running");
  FinishStep(7);
  EXPECT_EQ(core_.StatusLine(), ToString(kJob) + ", rank 1: running, step 7");
  Break();
  EXPECT_EQ(core_.StatusLine(),
            ToString(kJob) + ", rank 1: running, step 7; no coordinator");
}

TEST_F(SessionCoreTest, SaysThatItIsToEndAndStillHasARank) {
  Run();
  Apply(StopRequested{"SIGTERM", absl::Seconds(30)});
  EXPECT_EQ(core_.StatusLine(),
            ToString(kJob) + ", rank 1: running; told to stop");
}

TEST_F(SessionCoreTest, SaysWhatHasFailed) {
  Run();
  Failed failed;
  failed.epoch = kJob;
  failed.why = absl::InternalError("boom");
  Apply(failed);
  EXPECT_THAT(core_.StatusLine(), HasSubstr("rank 1: failed: boom"));
}

}  // namespace
}  // namespace penstock
