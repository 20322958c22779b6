// What the coordinator does when servers, sessions and coordinators break.
#include "coordinator/core/cluster_fixture.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/placement.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Servers s1 and s2 run job "a".
Cluster RunningPair() {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Join("s2");
  cluster.Submit("a", 2).IgnoreError();
  cluster.Run("a");
  return cluster;
}

TEST(FaultTest, FailsTheJobAndNamesStageAndServer) {
  Cluster cluster = RunningPair();
  ASSERT_TRUE(
      cluster.Report("s2", "a", StageStatus::FAULTED, "loss is NaN").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
  EXPECT_EQ(cluster.job("a").reason(), "stage 1 on node-s2: loss is NaN");
  EXPECT_THAT(cluster.effects.desired, UnorderedElementsAre("s1", "s2"));
  EXPECT_EQ(DesiredOf(cluster.state, "s1").desired().goal(),
            DesiredState::BE_IDLE);
}

TEST(FaultTest, SaysWhomTheRankSuspects) {
  Cluster cluster = RunningPair();
  cluster.Break("s1");
  StageMessage message;
  message.mutable_status()->set_job_id("a");
  message.mutable_status()->set_phase(StageStatus::FAULTED);
  message.mutable_status()->set_error("receive timed out");
  message.mutable_status()->set_suspect_rank(0);
  ASSERT_TRUE(cluster.Say("s2", message).ok());
  EXPECT_EQ(cluster.job("a").reason(),
            "stage 1 on node-s2: receive timed out (by its evidence the fault "
            "lies with stage 0 on node-s1, SUSPECT)");
}

TEST(FaultTest, OfAnOlderEpochChangesNothing) {
  Cluster cluster = RunningPair();
  StageMessage message;
  message.mutable_fence()->set_job_epoch(-1);
  message.mutable_status()->set_job_id("a");
  message.mutable_status()->set_phase(StageStatus::FAULTED);
  ASSERT_TRUE(cluster.Say("s2", message).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_THAT(cluster.effects.desired, UnorderedElementsAre("s2"));
}

TEST(FaultTest, ServerThatLeavesUnaskedFailsTheJob) {
  Cluster cluster = RunningPair();
  ASSERT_TRUE(cluster.Report("s1", "a", StageStatus::IDLE).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
  EXPECT_TRUE(IsFree(cluster.state.servers.at("s1")));
}

TEST(FaultTest, FinishAtAnotherStepFailsTheJob) {
  Cluster cluster = RunningPair();
  StageMessage message;
  message.mutable_finished()->set_job_id("a");
  message.mutable_finished()->set_step(1);
  ASSERT_TRUE(cluster.Say("s1", message).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
  EXPECT_THAT(cluster.job("a").reason(), HasSubstr("finished at step 1 of 2"));
}

TEST(FaultTest, MissingDigestFailsTheJob) {
  Cluster cluster = RunningPair();
  ASSERT_TRUE(cluster.ReportFinished("s1", "a").ok());
  StageMessage message;
  message.mutable_finished()->set_job_id("a");
  message.mutable_finished()->set_step(2);
  ASSERT_TRUE(cluster.Say("s2", message).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
  EXPECT_THAT(cluster.job("a").reason(), HasSubstr("layer 1: no rank"));
}

TEST(SuspicionTest, BrokenSessionIsSuspectAtOnceAndTheJobSaysSo) {
  Cluster cluster = RunningPair();
  cluster.Break("s2");
  EXPECT_EQ(cluster.server("s2").state(), SERVER_STATE_SUSPECT);
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_EQ(cluster.job("a").reason(),
            "waits for node-s2, which is silent (its session broke: reset)");
}

TEST(SuspicionTest, ServerThatComesBackGoesOn) {
  Cluster cluster = RunningPair();
  cluster.Break("s2");
  cluster.Advance(absl::Seconds(9));
  ASSERT_TRUE(cluster.Register("s2", 1, "a", 1).ok());
  ASSERT_TRUE(cluster.Open("s2").ok());
  EXPECT_EQ(cluster.server("s2").state(), SERVER_STATE_RUNNING);
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_EQ(cluster.job("a").reason(), "");
  EXPECT_THAT(cluster.effects.desired, UnorderedElementsAre("s2"));
  EXPECT_THAT(cluster.effects.acks, UnorderedElementsAre("s2"));
}

TEST(SuspicionTest, SilenceInAnOpenSessionIsNoticedOnTheTick) {
  Cluster cluster = RunningPair();
  cluster.Advance(cluster.state.timing.suspect_after - absl::Milliseconds(1));
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_RUNNING);
  cluster.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_SUSPECT);
  ASSERT_TRUE(cluster.Heartbeat("s1").ok());
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_RUNNING);
}

TEST(LossTest, ComesAfterLostAfterAndNotBefore) {
  Cluster cluster = RunningPair();
  cluster.Break("s2");
  cluster.Advance(cluster.state.timing.lost_after - absl::Milliseconds(1));
  ASSERT_TRUE(cluster.Heartbeat("s1").ok());
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  cluster.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.server("s2").state(), SERVER_STATE_LOST);
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
  EXPECT_EQ(cluster.job("a").reason(),
            "stage 1 on node-s2: the stage server is lost: not heard for 10s");
  EXPECT_THAT(cluster.effects.desired, Contains("s1"));
  EXPECT_THAT(cluster.EventKinds(), Contains("SERVER_LOST"));
}

TEST(LossTest, AllSessionsGoneAtOnceFailsNothingBeforeLostAfter) {
  Cluster cluster = RunningPair();
  cluster.Break("s1");
  cluster.Break("s2");
  cluster.Advance(cluster.state.timing.lost_after - absl::Milliseconds(1));
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
}

TEST(LossTest, OfAnIdleServerTouchesNoJob) {
  Cluster cluster = RunningPair();
  cluster.Join("s3");
  cluster.Break("s3");
  cluster.Advance(cluster.state.timing.lost_after);
  cluster.Heartbeat("s1").IgnoreError();
  cluster.Heartbeat("s2").IgnoreError();
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.server("s3").state(), SERVER_STATE_LOST);
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
}

TEST(LossTest, LostServerMustRegisterAgain) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Advance(cluster.state.timing.lost_after);
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.effects.closed_sessions.size(), 1);
  EXPECT_TRUE(absl::IsAborted(cluster.Open("s1").status()));
  cluster.Join("s1");
  EXPECT_TRUE(IsFree(cluster.state.servers.at("s1")));
}

TEST(RegistrationTest, AnotherBuildIsRefused) {
  Cluster cluster;
  ServerRegistered event;
  event.request.set_server_id("s1");
  event.request.set_incarnation(1);
  event.request.set_build_version("2.0");
  event.build_version = "1.0";
  const absl::Status status = cluster.Apply(event).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("build 2.0"));
  EXPECT_THAT(cluster.state.servers, IsEmpty());
}

TEST(RegistrationTest, IdOfALiveServerIsTaken) {
  Cluster cluster;
  cluster.Join("s1", /*incarnation=*/1);
  EXPECT_TRUE(absl::IsFailedPrecondition(cluster.Register("s1", 2).status()));
  EXPECT_EQ(cluster.server("s1").incarnation(), 1);
  EXPECT_TRUE(IsFree(cluster.state.servers.at("s1")));
}

TEST(RegistrationTest, RestartedServerFailsItsJobAndIsFree) {
  Cluster cluster = RunningPair();
  cluster.Break("s1");
  cluster.Join("s1", /*incarnation=*/2);
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
  EXPECT_EQ(cluster.job("a").reason(),
            "stage 0 on node-s1: the stage server restarted");
  EXPECT_TRUE(IsFree(cluster.state.servers.at("s1")));
}

TEST(RegistrationTest, SameProcessWithoutTheJobFailsIt) {
  Cluster cluster = RunningPair();
  cluster.Break("s1");
  ASSERT_TRUE(cluster.Register("s1", 1).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
}

TEST(RegistrationTest, AssignmentThatDidNotArriveIsSentAgain) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.Break("s1");
  cluster.Join("s1");
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_LOADING);
  EXPECT_THAT(cluster.effects.desired, UnorderedElementsAre("s1"));
  EXPECT_EQ(DesiredOf(cluster.state, "s1").desired().goal(),
            DesiredState::LOAD);
}

TEST(RegistrationTest, ServerInAnUnknownJobIsToldToBeIdleFirst) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Register("s1", 1, "gone", 4).ok());
  ASSERT_TRUE(cluster.Open("s1").ok());
  EXPECT_FALSE(IsFree(cluster.state.servers.at("s1")));
  const CoordinatorMessage message = DesiredOf(cluster.state, "s1");
  EXPECT_EQ(message.desired().goal(), DesiredState::BE_IDLE);
  EXPECT_EQ(message.fence().job_epoch(), 4);
  ASSERT_TRUE(cluster.Report("s1", "gone", StageStatus::IDLE).ok());
  EXPECT_TRUE(IsFree(cluster.state.servers.at("s1")));
}

TEST(RegistrationTest, WithoutIdOrIncarnationIsRefused) {
  Cluster cluster;
  EXPECT_TRUE(absl::IsInvalidArgument(cluster.Register("", 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(cluster.Register("s1", 0).status()));
}

TEST(FenceTest, MessageOfAnEarlierTermEndsTheSession) {
  Cluster cluster = RunningPair();
  cluster.RestartCoordinator();
  ASSERT_TRUE(cluster.Register("s1", 1, "a", 1).ok());
  ASSERT_TRUE(cluster.Open("s1").ok());
  StageMessage message;
  message.mutable_fence()->set_coordinator_term(1);
  message.mutable_heartbeat();
  EXPECT_TRUE(absl::IsAborted(cluster.Say("s1", message).status()));
  EXPECT_EQ(cluster.effects.closed_sessions.size(), 1);
  EXPECT_FALSE(cluster.effects.step_down.has_value());
}

TEST(FenceTest, LaterTermMakesTheCoordinatorStepDown) {
  Cluster cluster;
  ServerRegistered event;
  event.request.mutable_fence()->set_coordinator_term(9);
  event.request.set_server_id("s1");
  event.request.set_incarnation(1);
  EXPECT_TRUE(absl::IsAborted(cluster.Apply(event).status()));
  ASSERT_TRUE(cluster.effects.step_down.has_value());
  EXPECT_THAT(*cluster.effects.step_down, HasSubstr("term 9"));
}

TEST(FenceTest, EarlierTermIsWelcomeToRegister) {
  Cluster cluster;
  cluster.RestartCoordinator();
  EXPECT_EQ(cluster.state.term, 2);
  ServerRegistered event;
  event.request.mutable_fence()->set_coordinator_term(1);
  event.request.set_server_id("s1");
  event.request.set_incarnation(1);
  EXPECT_TRUE(cluster.Apply(event).ok());
}

TEST(FenceTest, AnotherIncarnationInTheSessionEndsIt) {
  Cluster cluster = RunningPair();
  StageMessage message;
  message.set_incarnation(99);
  message.mutable_heartbeat();
  EXPECT_TRUE(absl::IsAborted(cluster.Say("s1", message).status()));
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_SUSPECT);
}

TEST(FenceTest, RepeatedSequenceNumberIsDropped) {
  Cluster cluster = RunningPair();
  StageMessage message;
  message.set_incarnation(1);
  message.set_idempotency_sequence(1);
  message.mutable_fence()->set_job_epoch(1);
  message.mutable_status()->set_job_id("a");
  message.mutable_status()->set_phase(StageStatus::FAULTED);
  ASSERT_TRUE(
      cluster
          .Apply(SessionSpoke{cluster.state.servers.at("s1").session, message})
          .ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
}

TEST(FenceTest, NewerSessionReplacesTheOlder) {
  Cluster cluster;
  cluster.Join("s1");
  const uint64_t older = cluster.state.servers.at("s1").session;
  ASSERT_TRUE(cluster.Open("s1").ok());
  EXPECT_TRUE(cluster.effects.closed_sessions.contains(older));
  ASSERT_TRUE(cluster.Apply(SessionClosed{older, "closed"}).ok());
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_IDLE);
}

TEST(CoordinatorRestartTest, RunningJobGoesOnWhenItsServersComeBack) {
  Cluster cluster = RunningPair();
  const std::string secret =
      DesiredOf(cluster.state, "s1").desired().epoch_secret();
  cluster.RestartCoordinator();
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_THAT(cluster.job("a").reason(), HasSubstr("coordinator restarted"));
  for (const char* id : {"s1", "s2"}) {
    ASSERT_TRUE(cluster.Register(id, 1, "a", 1).ok());
    ASSERT_TRUE(cluster.Open(id).ok());
  }
  EXPECT_EQ(cluster.job("a").reason(), "");
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_RUNNING);
  EXPECT_EQ(DesiredOf(cluster.state, "s1").desired().goal(), DesiredState::RUN);
  EXPECT_EQ(DesiredOf(cluster.state, "s1").desired().epoch_secret(), secret);
  cluster.Finish("a");
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_SUCCEEDED);
}

TEST(CoordinatorRestartTest, RunningJobFailsWhenAServerStaysAway) {
  Cluster cluster = RunningPair();
  // The silence before the restart does not count.
  cluster.Advance(absl::Hours(1));
  cluster.RestartCoordinator();
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  cluster.Advance(cluster.state.timing.lost_after);
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_FAILED);
}

TEST(CoordinatorRestartTest, LoadingJobIsPlacedAnewInANewEpoch) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.RestartCoordinator();
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_QUEUED);
  ASSERT_TRUE(cluster.Register("s1", 1, "a", 1).ok());
  ASSERT_TRUE(cluster.Open("s1").ok());
  EXPECT_EQ(DesiredOf(cluster.state, "s1").desired().goal(),
            DesiredState::BE_IDLE);
  EXPECT_FALSE(AckOf(cluster.state, "s1")
                   .value_or(CoordinatorMessage())
                   .ack()
                   .finished());
  ASSERT_TRUE(cluster.Report("s1", "a", StageStatus::IDLE).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_LOADING);
  EXPECT_EQ(cluster.job("a").epoch(), 2);
}

TEST(CoordinatorRestartTest, QueuedJobStaysQueued) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.RestartCoordinator();
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_QUEUED);
  cluster.Join("s1");
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_LOADING);
}

TEST(CoordinatorRestartTest, CancellingJobIsCancelledAfterwards) {
  Cluster cluster = RunningPair();
  ASSERT_TRUE(cluster.Cancel("a").ok());
  cluster.RestartCoordinator();
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_CANCELLING);
  for (const char* id : {"s1", "s2"}) {
    ASSERT_TRUE(cluster.Register(id, 1).ok());
  }
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_CANCELLED);
  EXPECT_EQ(cluster.job("a").reason(), "not needed");
}

TEST(CoordinatorRestartTest, CompletingJobKeepsWhatRanksHaveFinished) {
  Cluster cluster = RunningPair();
  ASSERT_TRUE(cluster.ReportFinished("s1", "a").ok());
  cluster.RestartCoordinator();
  for (const char* id : {"s1", "s2"}) {
    ASSERT_TRUE(cluster.Register(id, 1, "a", 1).ok());
    ASSERT_TRUE(cluster.Open(id).ok());
  }
  EXPECT_TRUE(AckOf(cluster.state, "s1")->ack().finished());
  EXPECT_FALSE(AckOf(cluster.state, "s2")->ack().finished());
  // What was not acknowledged is said again.
  ASSERT_TRUE(cluster.ReportStep("s1", "a", 1).ok());
  ASSERT_TRUE(cluster.ReportStep("s1", "a", 2).ok());
  ASSERT_TRUE(cluster.ReportFinished("s2", "a").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_SUCCEEDED);
}

TEST(CoordinatorRestartTest, CompletingJobWaitsForStepsThatWereForgotten) {
  Cluster cluster = RunningPair();
  ASSERT_TRUE(cluster.ReportStep("s2", "a", 1).ok());
  ASSERT_TRUE(cluster.ReportFinished("s1", "a").ok());
  cluster.RestartCoordinator();
  ASSERT_TRUE(cluster.Register("s2", 1, "a", 1).ok());
  ASSERT_TRUE(cluster.Open("s2").ok());
  ASSERT_TRUE(cluster.ReportFinished("s2", "a").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_COMPLETING);
  EXPECT_EQ(cluster.job("a").reason(),
            "waits for the reports of the last steps");
  ASSERT_TRUE(cluster.Register("s1", 1, "a", 1).ok());
  ASSERT_TRUE(cluster.Open("s1").ok());
  ASSERT_TRUE(cluster.ReportStep("s1", "a", 2).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_SUCCEEDED);
  EXPECT_EQ(cluster.job("a").latest().step(), 2);
}

TEST(CoordinatorRestartTest, TermGrowsAndTheSecretStays) {
  Cluster cluster;
  EXPECT_EQ(cluster.effects.batch.term, 1);
  EXPECT_EQ(cluster.effects.batch.cluster_secret, "secret");
  cluster.RestartCoordinator();
  EXPECT_EQ(cluster.effects.batch.term, 2);
  EXPECT_FALSE(cluster.effects.batch.cluster_secret.has_value());
  EXPECT_EQ(cluster.state.cluster_secret, "secret");
}

TEST(CoordinatorRestartTest, KeysAreRemembered) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.RestartCoordinator();
  EXPECT_EQ(cluster.Submit("a", 1).value_or("?"), "a");
  EXPECT_EQ(cluster.state.jobs.size(), 1);
}

}  // namespace
}  // namespace penstock
