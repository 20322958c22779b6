// How a job goes on that loses stage servers.
#include "coordinator/core/desired_state.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr int64_t kLong = 1000;

// Two stages of job "a" on s1 and s2, which may be started again.
class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() { cluster_.restart_limit = 3; }

  void Start() { ASSERT_TRUE(cluster_.Train("a", EverySteps(5), kLong).ok()); }
  void StartAndRun() {
    Start();
    cluster_.Run("a");
    ASSERT_EQ(State(), JOB_STATE_RUNNING);
  }
  // In the server's session.
  void Fault(const std::string& id, StageStatus status) {
    StageMessage message;
    *message.mutable_status() = std::move(status);
    message.mutable_status()->set_job_id("a");
    message.mutable_status()->set_phase(StageStatus::FAULTED);
    cluster_.Say(id, message).IgnoreError();
  }
  // As kill -9: the session breaks, and the peer sees its channel end.
  void Kill(const std::string& victim, const std::string& peer) {
    StageStatus status;
    status.set_error("rank is gone: it has ended");
    status.set_suspect_rank(cluster_.server(victim).rank());
    cluster_.Break(victim);
    Fault(peer, status);
  }
  void Idle(const std::string& id) {
    cluster_.Report(id, "a", StageStatus::IDLE).IgnoreError();
  }
  // A lost rank that comes back as a new process.
  void KillAndRestart(const std::string& victim, const std::string& peer) {
    Kill(victim, peer);
    Idle(peer);
    cluster_.Join(victim, ++incarnation_);
    Wait(absl::Minutes(1));
  }
  // Those that have a session are heard then.
  void Wait(absl::Duration time) {
    cluster_.Advance(time);
    for (const char* id : {"s1", "s2", "s3", "s4"}) {
      const auto server = cluster_.state.servers.find(id);
      if (server == cluster_.state.servers.end()) continue;
      if (server->second.session != 0) cluster_.Heartbeat(id).IgnoreError();
    }
    cluster_.Tick().IgnoreError();
  }
  void MakeCheckpointed(int64_t first, int64_t last) {
    cluster_.MakeSteps("a", first, last);
    cluster_.MakeCheckpoint("a", last);
  }
  void ReadManifest(int64_t step, int64_t epoch) {
    CheckpointManifest manifest = cluster_.ManifestOfStep("a", step);
    manifest.mutable_id()->set_epoch(epoch);
    const CheckpointId id = manifest.id();
    const auto read =
        std::make_shared<const CheckpointManifest>(std::move(manifest));
    cluster_.Apply(penstock::ManifestRead{"a", id, read}).IgnoreError();
  }

  JobInfo& Info() { return cluster_.job("a"); }
  JobState State() { return Info().state(); }
  const RestartReport& Last() { return *Info().restarts().rbegin(); }
  int64_t Counted() { return cluster_.state.jobs.at("a").totals.steps(); }

  TrainingCluster cluster_;
  uint64_t incarnation_ = 1;
};

TEST_F(RecoveryTest, AKilledServerEndsTheEpochAndItsPeersHearItAtOnce) {
  StartAndRun();
  Kill("s2", "s1");
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_THAT(Info().reason(), HasSubstr("fault lies with stage 1 on node-s2"));
  EXPECT_THAT(cluster_.effects.desired, Contains("s1"));
  EXPECT_EQ(DesiredOf(cluster_.state, "s1").desired().goal(),
            DesiredState::BE_IDLE);
  EXPECT_THAT(cluster_.EventKinds(), Contains("JOB_RECOVERING"));
  EXPECT_EQ(Last().server_name(), "node-s2");
  EXPECT_EQ(Last().cause(), RESTART_CAUSE_INFRA);
}

TEST_F(RecoveryTest, ItGoesOnAtOnceWithASpareFromItsNewestCheckpoint) {
  cluster_.Join("s3");
  StartAndRun();
  MakeCheckpointed(1, 5);
  cluster_.MakeSteps("a", 6, 8);
  Kill("s2", "s1");
  Idle("s1");
  EXPECT_EQ(State(), JOB_STATE_QUEUED);
  ASSERT_THAT(cluster_.WorkOf<penstock::ReadManifest>(), SizeIs(1));
  ReadManifest(5, 1);
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_EQ(Info().epoch(), 2);
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s1", "s3"));
  const DesiredState desired = DesiredOf(cluster_.state, "s3").desired();
  EXPECT_EQ(desired.restore().checkpoint().step(), 5);
  EXPECT_EQ(Last().from_step(), 5);
  EXPECT_EQ(Last().at_step(), 8);
  EXPECT_EQ(Last().steps_lost(), 3);
}

TEST_F(RecoveryTest, WithoutACheckpointItBeginsAgainAndSaysSo) {
  cluster_.Join("s3");
  StartAndRun();
  cluster_.MakeSteps("a", 1, 3);
  Kill("s2", "s1");
  Idle("s1");
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_FALSE(Info().has_started_from());
  EXPECT_EQ(Info().latest().step(), 0);
  bool is_said = false;
  for (const Event& event : cluster_.effects.batch.events) {
    is_said = is_said ||
              event.message() ==
                  "has no checkpoint yet: begins again with initial weights; "
                  "3 steps of 3 lost";
  }
  EXPECT_TRUE(is_said);
}

TEST_F(RecoveryTest, StepsThatAreMadeAgainReplaceTheOldOnesAndCountOnce) {
  cluster_.Join("s3");
  StartAndRun();
  cluster_.MakeSteps("a", 1, 3);
  const int64_t counted = Counted();
  Kill("s2", "s1");
  Idle("s1");
  EXPECT_THAT(cluster_.effects.batch.kept_steps, ElementsAre(Pair("a", 0)));
  cluster_.Run("a");
  cluster_.MakeSteps("a", 1, 3);
  EXPECT_EQ(Info().latest().step(), 3);
  EXPECT_EQ(Counted(), counted);
  cluster_.MakeSteps("a", 4, 4);
  EXPECT_EQ(Counted(), counted + 1);
}

TEST_F(RecoveryTest, TheReportTellsAllPhasesOnceTheJobIsWhereItWas) {
  cluster_.Join("s3");
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  cluster_.Advance(absl::Milliseconds(100));
  Kill("s2", "s1");
  cluster_.Advance(absl::Milliseconds(20));
  Idle("s1");
  cluster_.Advance(absl::Milliseconds(30));
  cluster_.Run("a");
  cluster_.MakeSteps("a", 1, 1);
  EXPECT_FALSE(Last().is_over());
  cluster_.Advance(absl::Milliseconds(40));
  cluster_.MakeSteps("a", 2, 2);
  EXPECT_TRUE(Last().is_over());
  EXPECT_EQ(Last().phases().detect(), 100);
  EXPECT_EQ(Last().phases().decide(), 20);
  EXPECT_EQ(Last().phases().load(), 30);
  EXPECT_EQ(Last().phases().recompute(), 40);
  // The last of the calls was the other rank's, or this one's.
  EXPECT_THAT(cluster_.EventKinds(), Contains("JOB_RESTARTED"));
}

TEST_F(RecoveryTest, WithoutASpareItWaitsForTheServerThatComesBack) {
  StartAndRun();
  Kill("s2", "s1");
  Idle("s1");
  EXPECT_EQ(State(), JOB_STATE_QUEUED);
  EXPECT_THAT(Info().reason(), HasSubstr("needs 2 stage servers, 1 idle"));
  cluster_.Join("s2", /*incarnation=*/2);
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s1", "s2"));
}

TEST_F(RecoveryTest, ItDoesNotWaitForeverForAServerThatDoesNotLeave) {
  cluster_.Join("s3");
  cluster_.Join("s4");
  StartAndRun();
  Kill("s2", "s1");
  for (int second = 0; second < 10; ++second) {
    EXPECT_EQ(State(), JOB_STATE_RECOVERING);
    Wait(absl::Seconds(1));
  }
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s3", "s4"));
}

TEST_F(RecoveryTest, ALossWhileItLoadsStartsItAgain) {
  cluster_.Join("s3");
  Start();
  ASSERT_EQ(State(), JOB_STATE_LOADING);
  cluster_.Break("s2");
  cluster_.Join("s2", ++incarnation_);
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  Idle("s1");
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_EQ(Info().epoch(), 2);
}

TEST_F(RecoveryTest, AChannelThatCannotBeConnectedStartsItAgain) {
  Start();
  for (const char* id : {"s1", "s2"}) {
    cluster_.Report(id, "a", StageStatus::LOADED).IgnoreError();
  }
  cluster_
      .Report("s1", "a", StageStatus::FAULTED, "rank 1 could not be reached")
      .IgnoreError();
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
}

TEST_F(RecoveryTest, ALossWhileItCompletesStartsItAgain) {
  ASSERT_TRUE(cluster_.Train("a", EverySteps(0), 2).ok());
  cluster_.Run("a");
  cluster_.MakeSteps("a", 1, 2);
  StageMessage message;
  message.mutable_finished()->set_job_id("a");
  message.mutable_finished()->set_step(2);
  cluster_.Say("s1", message).IgnoreError();
  ASSERT_EQ(State(), JOB_STATE_COMPLETING);
  Kill("s2", "s1");
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
}

TEST_F(RecoveryTest, ALossWhileItIsSuspendedOnRequestSuspendsIt) {
  StartAndRun();
  MakeCheckpointed(1, 5);
  cluster_.MakeSteps("a", 6, 7);
  cluster_.Apply(JobSuspendRequested{Fence(), "a", ""}).IgnoreError();
  ASSERT_EQ(State(), JOB_STATE_SUSPENDING);
  Kill("s2", "s1");
  EXPECT_EQ(State(), JOB_STATE_SUSPENDED);
  EXPECT_EQ(Info().restart_count(), 0);
}

TEST_F(RecoveryTest, ALossWhileItIsCancelledOnlyCancelsIt) {
  StartAndRun();
  cluster_.Cancel("a").IgnoreError();
  cluster_.Break("s2");
  cluster_.Join("s2", ++incarnation_);
  EXPECT_EQ(State(), JOB_STATE_CANCELLING);
  Idle("s1");
  EXPECT_EQ(State(), JOB_STATE_CANCELLED);
}

TEST_F(RecoveryTest, AFaultOfTheJobItselfFailsItAsBefore) {
  StartAndRun();
  cluster_.Report("s2", "a", StageStatus::FAULTED, "loss is NaN").IgnoreError();
  EXPECT_EQ(State(), JOB_STATE_FAILED);
  EXPECT_EQ(Info().restart_count(), 0);
}

TEST_F(RecoveryTest, DataThatIsNotThereFailsItWhileItLoads) {
  Start();
  cluster_.Report("s1", "a", StageStatus::FAULTED, "tokens.bin: no such file")
      .IgnoreError();
  EXPECT_EQ(State(), JOB_STATE_FAILED);
}

TEST_F(RecoveryTest, AStepThatHangsWithEveryServerThereFailsTheJob) {
  StartAndRun();
  StageStatus status;
  status.set_error("receive was not complete");
  status.mutable_missing()->set_step(1);
  Fault("s1", status);
  EXPECT_EQ(State(), JOB_STATE_FAILED);
}

TEST_F(RecoveryTest, AStepThatHangsOnASilentServerStartsItAgain) {
  StartAndRun();
  cluster_.Advance(cluster_.state.timing.suspect_after);
  cluster_.Heartbeat("s1").IgnoreError();
  cluster_.Tick().IgnoreError();
  StageStatus status;
  status.set_error("receive was not complete");
  status.mutable_missing()->set_step(1);
  Fault("s1", status);
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_THAT(Info().reason(), HasSubstr("stage 1 on node-s2 is silent"));
  EXPECT_EQ(Last().phases().detect(), 3000);
}

TEST_F(RecoveryTest, AServerThatIsToldToStopCostsNoBudget) {
  cluster_.restart_limit = 1;
  StartAndRun();
  for (int i = 0; i < 4; ++i) {
    cluster_
        .Report("s2", "a", StageStatus::FAULTED,
                "stage server node-s2 was told to stop (Terminated)")
        .IgnoreError();
    EXPECT_EQ(State(), JOB_STATE_RECOVERING);
    EXPECT_EQ(Last().cause(), RESTART_CAUSE_PREEMPT);
    Idle("s1");
    Idle("s2");
    ASSERT_EQ(State(), JOB_STATE_LOADING);
  }
  EXPECT_EQ(Info().restart_count(), 4);
  EXPECT_EQ(Info().restarts_in_row(), 0);
}

class LeavingTest : public RecoveryTest {
 protected:
  void Leave(const std::string& id) {
    StageMessage message;
    message.mutable_leaving()->set_deadline_seconds(30);
    message.mutable_leaving()->set_reason("told to stop (Terminated)");
    cluster_.Say(id, message).IgnoreError();
  }

  // The steps up to the one that is to be kept, and its checkpoint.
  int64_t KeepNextStep() {
    const int64_t last = cluster_.NextStep("a");
    cluster_.MakeSteps("a", 3, last);
    cluster_.MakeCheckpoint("a", last);
    return last;
  }
};

TEST_F(LeavingTest, ItsJobKeepsACheckpointAndGoesOnWithoutIt) {
  cluster_.Join("s3");
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  Leave("s2");
  EXPECT_EQ(State(), JOB_STATE_SUSPENDING);
  EXPECT_THAT(cluster_.EventKinds(), Contains("SERVER_LEAVING"));
  const int64_t last = KeepNextStep();
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_EQ(Last().cause(), RESTART_CAUSE_PREEMPT);
  EXPECT_EQ(Info().restarts_in_row(), 0);
  EXPECT_EQ(DesiredOf(cluster_.state, "s2").desired().goal(),
            DesiredState::BE_IDLE);
  Idle("s1");
  Idle("s2");
  ReadManifest(last, 1);
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s1", "s3"));
  EXPECT_EQ(Last().steps_lost(), 0);
}

TEST_F(LeavingTest, ItTakesNoRankAnyMoreUntilAnotherProcessHasItsId) {
  Leave("s2");
  Start();
  EXPECT_EQ(State(), JOB_STATE_QUEUED);
  cluster_.Break("s2");
  cluster_.Join("s2", ++incarnation_);
  EXPECT_EQ(State(), JOB_STATE_LOADING);
}

TEST_F(LeavingTest, OneThatLoadsIsReplacedAtOnce) {
  cluster_.Join("s3");
  Start();
  Leave("s1");
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  Idle("s1");
  Idle("s2");
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s2", "s3"));
}

TEST_F(LeavingTest, AJobThatMayNotStartAgainIsSuspended) {
  cluster_.restart_limit = 0;
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  Leave("s2");
  KeepNextStep();
  EXPECT_EQ(State(), JOB_STATE_SUSPENDED);
}

TEST_F(LeavingTest, ASuspendOnRequestIsForGood) {
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  Leave("s2");
  cluster_.Apply(JobSuspendRequested{Fence(), "a", ""}).IgnoreError();
  KeepNextStep();
  EXPECT_EQ(State(), JOB_STATE_SUSPENDED);
}

TEST_F(LeavingTest, OneThatGoesBeforeTheCheckpointIsCompleteCostsNoBudget) {
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  Leave("s2");
  Kill("s2", "s1");
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_EQ(Last().cause(), RESTART_CAUSE_PREEMPT);
  EXPECT_EQ(Info().restarts_in_row(), 0);
}

TEST_F(LeavingTest, ACoordinatorThatRestartsMeanwhileStillRelievesIt) {
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  Leave("s2");
  const int64_t last = cluster_.NextStep("a");
  cluster_.RestartCoordinator();
  for (const char* id : {"s1", "s2"}) {
    ASSERT_TRUE(cluster_.Register(id, 1, "a", 1).ok());
    ASSERT_TRUE(cluster_.Open(id).ok());
  }
  cluster_.MakeSteps("a", 3, last);
  cluster_.MakeCheckpoint("a", last);
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
}

TEST_F(RecoveryTest, TooManyInARowFailTheJobWithTheirReasons) {
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  for (int i = 0; i < 3; ++i) {
    KillAndRestart("s2", "s1");
    ASSERT_EQ(State(), JOB_STATE_LOADING);
    cluster_.Run("a");
    // None that it had not made before.
    cluster_.MakeSteps("a", 1, 2);
  }
  EXPECT_EQ(Info().restarts_in_row(), 3);
  Kill("s2", "s1");
  EXPECT_EQ(State(), JOB_STATE_FAILED);
  EXPECT_THAT(Info().reason(),
              HasSubstr("started again 3 times in a row without a new step "
                        "after step 2, which is all that restart.limit"));
  EXPECT_EQ(Info().restart_count(), 3);
}

TEST_F(RecoveryTest, ANewStepRefillsTheBudget) {
  ASSERT_TRUE(cluster_.Train("a", EverySteps(0), kLong).ok());
  cluster_.Run("a");
  for (int64_t step = 1; step < 8; ++step) {
    cluster_.MakeSteps("a", 1, step);
    KillAndRestart("s2", "s1");
    ASSERT_EQ(State(), JOB_STATE_LOADING);
    cluster_.Run("a");
    EXPECT_EQ(Info().restarts_in_row(), 1);
  }
  EXPECT_EQ(Info().restart_count(), 7);
}

TEST_F(RecoveryTest, TheSecondInARowWaitsAndTheThirdTwiceAsLong) {
  StartAndRun();
  KillAndRestart("s2", "s1");
  cluster_.Run("a");
  for (const int seconds : {1, 2}) {
    Kill("s2", "s1");
    Idle("s1");
    cluster_.Join("s2", ++incarnation_);
    Wait(absl::Seconds(seconds) - absl::Milliseconds(1));
    EXPECT_EQ(State(), JOB_STATE_RECOVERING);
    Wait(absl::Milliseconds(1));
    EXPECT_EQ(State(), JOB_STATE_LOADING);
    cluster_.Run("a");
  }
}

TEST_F(RecoveryTest, AZombieOfTheEndedEpochChangesNothing) {
  cluster_.Join("s3");
  StartAndRun();
  // Stopped, not dead: its session stays.
  cluster_.Advance(cluster_.state.timing.lost_after);
  for (const char* id : {"s1", "s3"}) cluster_.Heartbeat(id).IgnoreError();
  cluster_.Tick().IgnoreError();
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  Idle("s1");
  cluster_.Run("a");
  ASSERT_EQ(State(), JOB_STATE_RUNNING);
  const auto before = Info().SerializeAsString();

  ASSERT_TRUE(cluster_.Register("s2", 1, "a", 1).ok());
  ASSERT_TRUE(cluster_.Open("s2").ok());
  EXPECT_EQ(DesiredOf(cluster_.state, "s2").desired().goal(),
            DesiredState::BE_IDLE);
  for (const auto phase : {StageStatus::RUNNING, StageStatus::FAULTED}) {
    StageMessage message;
    message.mutable_fence()->set_job_epoch(1);
    message.mutable_status()->set_job_id("a");
    message.mutable_status()->set_phase(phase);
    cluster_.Say("s2", message).IgnoreError();
  }
  StageMessage message;
  message.mutable_fence()->set_job_epoch(1);
  message.mutable_finished()->set_job_id("a");
  message.mutable_finished()->set_step(kLong);
  cluster_.Say("s2", message).IgnoreError();
  EXPECT_EQ(Info().SerializeAsString(), before);
  Idle("s2");
  EXPECT_TRUE(IsFree(cluster_.state.servers.at("s2")));
}

TEST_F(RecoveryTest, LateReportsOfAServerThatLeavesChangeNothing) {
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  Kill("s2", "s1");
  const auto before = Info().SerializeAsString();
  cluster_.ReportStep("s1", "a", 3).IgnoreError();
  cluster_.Report("s1", "a", StageStatus::FAULTED, "another one").IgnoreError();
  EXPECT_EQ(Info().SerializeAsString(), before);
}

TEST_F(RecoveryTest, ACoordinatorThatRestartsMeanwhileGoesOnWithIt) {
  StartAndRun();
  cluster_.MakeSteps("a", 1, 2);
  Kill("s2", "s1");
  cluster_.RestartCoordinator();
  EXPECT_EQ(Info().restart_count(), 1);
  ASSERT_TRUE(cluster_.Register("s1", 1, "a", 1).ok());
  ASSERT_TRUE(cluster_.Open("s1").ok());
  EXPECT_EQ(DesiredOf(cluster_.state, "s1").desired().goal(),
            DesiredState::BE_IDLE);
  Idle("s1");
  cluster_.Join("s2", ++incarnation_);
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_EQ(Info().epoch(), 2);
  EXPECT_EQ(Info().latest().step(), 0);
  cluster_.Run("a");
  cluster_.MakeSteps("a", 1, 2);
  EXPECT_TRUE(Last().is_over());
}

TEST_F(RecoveryTest, CancelEndsIt) {
  StartAndRun();
  Kill("s2", "s1");
  ASSERT_TRUE(cluster_.Cancel("a").ok());
  EXPECT_EQ(State(), JOB_STATE_CANCELLED);
  Idle("s1");
  cluster_.Join("s2", 2);
  EXPECT_EQ(State(), JOB_STATE_CANCELLED);
}

TEST_F(RecoveryTest, SuspendEndsItAndResumeGoesOnWithIt) {
  StartAndRun();
  Kill("s2", "s1");
  ASSERT_TRUE(cluster_.Apply(JobSuspendRequested{Fence(), "a", ""}).ok());
  EXPECT_EQ(State(), JOB_STATE_SUSPENDED);
  Idle("s1");
  cluster_.Join("s2", 2);
  EXPECT_EQ(State(), JOB_STATE_SUSPENDED);
  ASSERT_TRUE(cluster_.Apply(JobResumeRequested{Fence(), "a", nullptr}).ok());
  EXPECT_EQ(State(), JOB_STATE_LOADING);
}

TEST_F(RecoveryTest, AJobWhoseCheckpointsAreAllGoneFailsAndSaysSo) {
  StartAndRun();
  MakeCheckpointed(1, 5);
  cluster_.Apply(CheckpointDamaged{cluster_.IdOf("a", 5), "bit flipped"})
      .IgnoreError();
  Kill("s2", "s1");
  Idle("s1");
  EXPECT_EQ(State(), JOB_STATE_FAILED);
  EXPECT_THAT(Info().reason(), HasSubstr("damaged or deleted"));
}

TEST_F(RecoveryTest, ADamagedStartFallsBackToTheOlderOne) {
  StartAndRun();
  MakeCheckpointed(1, 5);
  MakeCheckpointed(6, 10);
  cluster_.MakeSteps("a", 11, 12);
  Kill("s2", "s1");
  Idle("s1");
  const CheckpointId id = cluster_.IdOf("a", 10);
  cluster_.Apply(penstock::ManifestRead{"a", id, absl::DataLossError("torn")})
      .IgnoreError();
  EXPECT_EQ(Info().started_from().checkpoint().step(), 5);
  EXPECT_EQ(Info().latest().step(), 5);
  EXPECT_EQ(Last().from_step(), 5);
  EXPECT_EQ(Last().steps_lost(), 7);
}

TEST_F(RecoveryTest, OnlyTheNewestReportsAreKept) {
  cluster_.restart_limit = 100;
  StartAndRun();
  for (int i = 0; i < 20; ++i) {
    KillAndRestart("s2", "s1");
    cluster_.Run("a");
  }
  EXPECT_EQ(Info().restart_count(), 20);
  EXPECT_EQ(Info().restarts_size(), 16);
  EXPECT_EQ(Last().epoch(), 20);
}

TEST(RecoveryTableTest, ALossNeverEndsAJobThatMayStartAgain) {
  for (const JobState from :
       {JOB_STATE_LOADING, JOB_STATE_RUNNING, JOB_STATE_COMPLETING}) {
    const JobTransition* row = FindTransition(from, JobTrigger::kLost);
    ASSERT_NE(row, nullptr) << Name(from);
    EXPECT_EQ(row->to, JOB_STATE_RECOVERING);
    EXPECT_THAT(row->effects, Contains(JobEffect::kReleaseServers));
  }
  for (const JobState from : {JOB_STATE_SUSPENDED, JOB_STATE_CANCELLING,
                              JOB_STATE_SUCCEEDED, JOB_STATE_FAILED}) {
    EXPECT_EQ(FindTransition(from, JobTrigger::kLost), nullptr) << Name(from);
  }
}

}  // namespace
}  // namespace penstock
