// Servers that operators take out of service.
#include <limits>

#include "coordinator/core/placement.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kLong = 1000;

TEST(CordonTest, ACordonedServerTakesNoRankAndWhoWaitsHearsIt) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Join("s2");
  ASSERT_TRUE(cluster.Cordon("node-s2").ok());
  EXPECT_THAT(cluster.EventKinds(), ElementsAre("SERVER_CORDONED"));
  EXPECT_EQ(cluster.server("s2").state(), SERVER_STATE_IDLE);
  EXPECT_EQ(cluster.server("s2").duty_reason(), "new disks");
  ASSERT_TRUE(cluster.Submit("a", 2).ok());
  EXPECT_EQ(cluster.job("a").reason(),
            "needs 2 stage servers, 1 idle of 2 registered; 1 of 2 is "
            "cordoned; start 1 more, or uncordon some");
  ASSERT_TRUE(cluster.Uncordon("s2").ok());
  EXPECT_THAT(cluster.EventKinds(), Contains("SERVER_UNCORDONED"));
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_LOADING);
  EXPECT_EQ(cluster.server("s2").duty_reason(), "");
}

TEST(CordonTest, ARankThatItHasStays) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.Run("a");
  ASSERT_TRUE(cluster.Cordon("s1").ok());
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  cluster.Finish("a");
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_SUCCEEDED);
  ASSERT_TRUE(cluster.Submit("b", 1).ok());
  EXPECT_EQ(cluster.job("b").reason(),
            "needs 1 stage server, 0 idle of 1 registered; 1 of 1 is "
            "cordoned; start 1 more, or uncordon some");
}

TEST(CordonTest, ItStaysOverRestartsOfTheServerAndTheCoordinator) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Cordon("s1").ok());
  EXPECT_THAT(cluster.effects.changed_servers, Contains("s1"));
  cluster.Break("s1");
  cluster.Join("s1", 2);
  EXPECT_EQ(cluster.server("s1").duty(), SERVER_DUTY_CORDONED);
  cluster.RestartCoordinator();
  cluster.Join("s1", 2);
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_IDLE);
  EXPECT_EQ(cluster.server("s1").duty(), SERVER_DUTY_CORDONED);
  EXPECT_FALSE(IsFree(cluster.state.servers.at("s1")));
}

TEST(CordonTest, AskedForTwiceItIsOneAndTheNewestReasonCounts) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Cordon("s1").ok());
  ASSERT_EQ(cluster
                .Apply(ServerDutyRequested{Fence(), "s1", SERVER_DUTY_CORDONED,
                                           "new fans", 0})
                .value_or("refused"),
            "s1");
  EXPECT_THAT(cluster.EventKinds(), IsEmpty());
  EXPECT_EQ(cluster.server("s1").duty_reason(), "new fans");
  ASSERT_TRUE(cluster.Uncordon("s1").ok());
  ASSERT_TRUE(cluster.Uncordon("s1").ok());
  EXPECT_TRUE(MakeBatch(cluster.state, cluster.effects).empty());
}

TEST(CordonTest, WhatIsNoServerOrNoDeadlineIsRefusedAndChangesNothing) {
  Cluster cluster;
  cluster.Join("s1");
  EXPECT_TRUE(absl::IsNotFound(cluster.Cordon("node-s9").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(cluster.Drain("s1", -1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(cluster.Drain("s1", 1e10).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      cluster.Drain("s1", std::numeric_limits<double>::quiet_NaN()).status()));
  Fence later;
  later.set_coordinator_term(7);
  EXPECT_TRUE(absl::IsAborted(
      cluster
          .Apply(ServerDutyRequested{later, "s1", SERVER_DUTY_CORDONED, "", 0})
          .status()));
  EXPECT_EQ(cluster.server("s1").duty(), SERVER_DUTY_UNSPECIFIED);
}

// Two stages of job "a" on s1 and s2, which may be started again, and a spare.
class DrainTest : public ::testing::Test {
 protected:
  DrainTest() { cluster_.restart_limit = 3; }

  void StartAndRun() {
    cluster_.Join("s3");
    ASSERT_TRUE(cluster_.Train("a", EverySteps(50), kLong).ok());
    cluster_.Run("a");
    cluster_.MakeSteps("a", 1, 2);
    ASSERT_EQ(State(), JOB_STATE_RUNNING);
  }
  // The steps up to the one that is to be kept, and its checkpoint.
  int64_t KeepNextStep() {
    const int64_t last = cluster_.NextStep("a");
    cluster_.MakeSteps("a", 3, last);
    cluster_.MakeCheckpoint("a", last);
    return last;
  }
  void Idle(const std::string& id) {
    cluster_.Report(id, "a", StageStatus::IDLE).IgnoreError();
  }
  void ReadManifest(int64_t step) {
    CheckpointManifest manifest = cluster_.ManifestOfStep("a", step);
    manifest.mutable_id()->set_epoch(1);
    const CheckpointId id = manifest.id();
    const auto read =
        std::make_shared<const CheckpointManifest>(std::move(manifest));
    cluster_.Apply(penstock::ManifestRead{"a", id, read}).IgnoreError();
  }
  void Wait(absl::Duration time) {
    cluster_.Advance(time);
    for (const char* id : {"s1", "s2", "s3"}) {
      if (cluster_.state.servers.at(id).session == 0) continue;
      cluster_.Heartbeat(id).IgnoreError();
    }
    cluster_.Tick().IgnoreError();
  }

  JobInfo& Info() { return cluster_.job("a"); }
  JobState State() { return Info().state(); }
  ServerDuty Duty(const std::string& id) { return cluster_.server(id).duty(); }
  const RestartReport& Last() { return *Info().restarts().rbegin(); }

  TrainingCluster cluster_;
};

TEST_F(DrainTest, ItsJobKeepsACheckpointAndGoesOnElsewhere) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s2").ok());
  EXPECT_THAT(cluster_.EventKinds(),
              ElementsAre("SERVER_DRAINING", "JOB_SUSPENDING"));
  EXPECT_EQ(Duty("s2"), SERVER_DUTY_DRAINING);
  EXPECT_THAT(Info().reason(), HasSubstr("stage 1 on node-s2 is to be drained"
                                         ": new disks"));
  EXPECT_LT(cluster_.NextStep("a"), 50);
  const int64_t last = KeepNextStep();
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_EQ(Last().cause(), RESTART_CAUSE_PREEMPT);
  EXPECT_EQ(Last().evidence(),
            "stage 1 on node-s2: the stage server is drained");
  EXPECT_EQ(Info().restarts_in_row(), 0);
  Idle("s1");
  EXPECT_EQ(Duty("s2"), SERVER_DUTY_DRAINING);
  Idle("s2");
  EXPECT_THAT(cluster_.EventKinds(), Contains("SERVER_DRAINED"));
  EXPECT_EQ(Duty("s2"), SERVER_DUTY_CORDONED);
  EXPECT_EQ(cluster_.server("s2").duty_reason(), "new disks");
  ReadManifest(last);
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s1", "s3"));
  EXPECT_EQ(Last().steps_lost(), 0);
}

TEST_F(DrainTest, AnIdleServerIsDrainedAtOnce) {
  ASSERT_TRUE(cluster_.Drain("s1", 30).ok());
  EXPECT_THAT(cluster_.EventKinds(),
              ElementsAre("SERVER_DRAINING", "SERVER_DRAINED"));
  EXPECT_EQ(Duty("s1"), SERVER_DUTY_CORDONED);
  EXPECT_EQ(cluster_.server("s1").drain_deadline_unix_nanos(), 0);
}

TEST_F(DrainTest, TwoServersOfOneJobAreLeftWithOneCheckpoint) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s1").ok());
  ASSERT_TRUE(cluster_.Drain("s2").ok());
  const int64_t last = KeepNextStep();
  Idle("s1");
  Idle("s2");
  ReadManifest(last);
  EXPECT_EQ(Info().restart_count(), 1);
  EXPECT_EQ(State(), JOB_STATE_QUEUED);
  EXPECT_THAT(Info().reason(), HasSubstr("2 of 3 are cordoned"));
}

TEST_F(DrainTest, OneThatLoadsLeavesAtOnce) {
  cluster_.Join("s3");
  ASSERT_TRUE(cluster_.Train("a", EverySteps(5), kLong).ok());
  ASSERT_TRUE(cluster_.Drain("s1").ok());
  Idle("s1");
  Idle("s2");
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s2", "s3"));
  EXPECT_EQ(Duty("s1"), SERVER_DUTY_CORDONED);
}

TEST_F(DrainTest, OneThatLoadsAndMayNotStartAgainIsSuspendedOnceItRuns) {
  cluster_.restart_limit = 0;
  cluster_.Join("s3");
  ASSERT_TRUE(cluster_.Train("a", EverySteps(50), kLong).ok());
  ASSERT_TRUE(cluster_.Drain("s1").ok());
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  cluster_.Run("a");
  cluster_.MakeSteps("a", 1, 2);
  ASSERT_TRUE(cluster_.Tick().ok());
  EXPECT_EQ(State(), JOB_STATE_SUSPENDING);
  KeepNextStep();
  EXPECT_EQ(State(), JOB_STATE_SUSPENDED);
}

TEST_F(DrainTest, UncordonedInTimeItsJobStays) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s2", 30).ok());
  ASSERT_TRUE(cluster_.Uncordon("s2").ok());
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
  KeepNextStep();
  Wait(absl::Minutes(1));
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
  EXPECT_EQ(Info().epoch(), 1);
}

TEST_F(DrainTest, WhereAnotherOfItsServersIsDrainedItStillLeaves) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s1").ok());
  ASSERT_TRUE(cluster_.Drain("s2").ok());
  ASSERT_TRUE(cluster_.Cordon("s1").ok());
  EXPECT_EQ(State(), JOB_STATE_SUSPENDING);
  KeepNextStep();
  EXPECT_EQ(Last().server_id(), "s2");
}

TEST_F(DrainTest, AtTheDeadlineTheJobIsEndedThere) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s2", 5).ok());
  Wait(absl::Seconds(5) - absl::Milliseconds(1));
  EXPECT_EQ(State(), JOB_STATE_SUSPENDING);
  Wait(absl::Milliseconds(1));
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_THAT(Info().reason(), HasSubstr("its time is over"));
  EXPECT_EQ(Info().restarts_in_row(), 0);
  Idle("s1");
  Idle("s2");
  EXPECT_THAT(cluster_.ServersOf("a"), ElementsAre("s1", "s3"));
}

TEST_F(DrainTest, ItGoesOnOverARestartOfTheCoordinatorWithItsDeadline) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s2", 30).ok());
  cluster_.RestartCoordinator();
  EXPECT_EQ(Duty("s2"), SERVER_DUTY_DRAINING);
  for (const char* id : {"s1", "s2", "s3"}) {
    const std::string job = id == std::string("s3") ? "" : "a";
    ASSERT_TRUE(cluster_.Register(id, 1, job, 1).ok());
    ASSERT_TRUE(cluster_.Open(id).ok());
  }
  EXPECT_EQ(State(), JOB_STATE_SUSPENDING);
  Wait(absl::Seconds(2));
  for (int i = 0; i < 14; ++i) Wait(absl::Seconds(2));
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
}

TEST_F(DrainTest, WhenACheckpointCannotBeKeptItIsTriedAgainLater) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s2").ok());
  const int64_t next = cluster_.NextStep("a");
  cluster_.MakeSteps("a", 3, next);
  for (const char* id : {"s1", "s2"}) {
    cluster_.ReportSnapshot(id, "a", next).IgnoreError();
  }
  cluster_.ReportShards("s1", "a", next, "the disk is full").IgnoreError();
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
  Wait(absl::Seconds(2));
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
  for (int i = 0; i < 4; ++i) Wait(absl::Seconds(2));
  EXPECT_EQ(State(), JOB_STATE_SUSPENDING);
}

TEST_F(DrainTest, ALostServerIsDrained) {
  StartAndRun();
  ASSERT_TRUE(cluster_.Drain("s2").ok());
  cluster_.Break("s2");
  Wait(cluster_.state.timing.lost_after);
  EXPECT_EQ(Duty("s2"), SERVER_DUTY_CORDONED);
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
}

TEST(PriorityTest, TheHigherOneGetsServersFirstAndTheOtherHearsWhy) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("running", 1).ok());
  ASSERT_TRUE(cluster.Submit("low", 1).ok());
  cluster.priority = 5;
  ASSERT_TRUE(cluster.Submit("high", 1).ok());
  ASSERT_TRUE(cluster.Submit("high too", 1).ok());
  EXPECT_THAT(cluster.job("high").reason(), HasSubstr("needs 1 stage server"));
  EXPECT_EQ(cluster.job("low").reason(),
            "waits behind high (high), whose priority is 5, this one's 0");
  EXPECT_EQ(cluster.job("high too").reason(),
            "waits behind high (high), which was submitted earlier");
  cluster.Run("running");
  cluster.Finish("running");
  EXPECT_EQ(cluster.job("high").state(), JOB_STATE_LOADING);
  EXPECT_EQ(cluster.job("low").state(), JOB_STATE_QUEUED);
}

TEST(PriorityTest, ARunningJobIsNotInterruptedForAHigherOne) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("low", 1).ok());
  cluster.Run("low");
  cluster.priority = 1000;
  ASSERT_TRUE(cluster.Submit("high", 1).ok());
  EXPECT_EQ(cluster.job("low").state(), JOB_STATE_RUNNING);
  EXPECT_EQ(cluster.job("high").state(), JOB_STATE_QUEUED);
}

TEST(PriorityTest, OnlyJobsThatAreBeforeItAreToldToADryRun) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Submit("waits", 1).ok());
  Plan plan = *PlanOfRanks("b", 2);
  EXPECT_THAT(WouldWaitFor(cluster.state, plan), HasSubstr("behind waits"));
  plan.mutable_job()->set_priority(1);
  EXPECT_THAT(WouldWaitFor(cluster.state, plan),
              HasSubstr("needs 2 stage servers"));
}

}  // namespace
}  // namespace penstock
