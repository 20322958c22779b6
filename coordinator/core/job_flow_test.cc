// A job's way from submission to its end, when nothing breaks.
#include "absl/strings/escaping.h"
#include "base/sha256.h"
#include "coordinator/core/cluster_fixture.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/placement.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

DesiredState Desired(const Cluster& cluster, const std::string& server) {
  return DesiredOf(cluster.state, server).desired();
}

TEST(JobFlowTest, JobWithoutServersWaitsAndSaysForWhat) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Submit("a", 3).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_QUEUED);
  EXPECT_EQ(cluster.job("a").reason(),
            "needs 3 stage servers, 0 idle of 0 registered; start 3 more");
  EXPECT_THAT(cluster.EventKinds(), ElementsAre("JOB_SUBMITTED", "JOB_QUEUED"));
}

TEST(JobFlowTest, ReasonFollowsTheServersThatCome) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Submit("a", 3).ok());
  cluster.Join("s1");
  cluster.Join("s2");
  EXPECT_EQ(cluster.job("a").reason(),
            "needs 3 stage servers, 2 idle of 2 registered; start 1 more");
}

TEST(JobFlowTest, LastServerThatIsNeededStartsTheLoading) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Submit("a", 2).ok());
  cluster.Join("s1");
  cluster.Join("s2");
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_LOADING);
  EXPECT_EQ(cluster.job("a").epoch(), 1);
  EXPECT_THAT(cluster.ServersOf("a"), ElementsAre("s1", "s2"));
  EXPECT_THAT(cluster.effects.desired, UnorderedElementsAre("s1", "s2"));
  EXPECT_THAT(cluster.EventKinds(), Contains("JOB_PLACING"));
  EXPECT_EQ(cluster.server("s2").state(), SERVER_STATE_LOADING);
}

TEST(JobFlowTest, GoalsFollowLoadConnectRun) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Join("s2");
  ASSERT_TRUE(cluster.Submit("a", 2).ok());
  EXPECT_EQ(Desired(cluster, "s1").goal(), DesiredState::LOAD);
  EXPECT_THAT(Desired(cluster, "s1").peers(), IsEmpty());

  ASSERT_TRUE(cluster.Report("s1", "a", StageStatus::LOADED).ok());
  EXPECT_EQ(Desired(cluster, "s1").goal(), DesiredState::LOAD);
  EXPECT_EQ(cluster.job("a").reason(), "1 of 2 ranks have loaded");

  ASSERT_TRUE(cluster.Report("s2", "a", StageStatus::LOADED).ok());
  EXPECT_THAT(cluster.effects.desired, UnorderedElementsAre("s1", "s2"));
  const DesiredState connect = Desired(cluster, "s2");
  EXPECT_EQ(connect.goal(), DesiredState::CONNECT);
  ASSERT_EQ(connect.peers_size(), 2);
  EXPECT_EQ(connect.peers(0).address().addresses().at("tcp"), "s1");

  ASSERT_TRUE(cluster.Report("s1", "a", StageStatus::READY).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_LOADING);
  ASSERT_TRUE(cluster.Report("s2", "a", StageStatus::READY).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_EQ(Desired(cluster, "s1").goal(), DesiredState::RUN);
  EXPECT_EQ(cluster.server("s1").state(), SERVER_STATE_RUNNING);
}

TEST(JobFlowTest, AServerGetsItsOwnActionsAlone) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Join("s2");
  ASSERT_TRUE(cluster.Submit("a", 2).ok());
  const DesiredState desired = Desired(cluster, "s2");
  EXPECT_EQ(desired.rank(), 1);
  EXPECT_EQ(desired.plan().schedule().ranks(0).actions_size(), 0);
  EXPECT_EQ(desired.plan().schedule().ranks(1).actions_size(), 1);
  EXPECT_EQ(desired.epoch_secret().size(), 32);
  EXPECT_EQ(desired.epoch_secret(), Desired(cluster, "s1").epoch_secret());
}

TEST(JobFlowTest, FinishedRanksMakeTheDigestAndFreeTheServers) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Join("s2");
  ASSERT_TRUE(cluster.Submit("a", 2).ok());
  cluster.Run("a");
  ASSERT_TRUE(cluster.ReportFinished("s2", "a").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_COMPLETING);
  ASSERT_TRUE(cluster.ReportFinished("s1", "a").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_SUCCEEDED);
  EXPECT_EQ(cluster.job("a").weights_digest(),
            Sha256HexOf(Sha256Of("layer0") + Sha256Of("layer1")));
  EXPECT_EQ(Desired(cluster, "s1").goal(), DesiredState::BE_IDLE);
  EXPECT_TRUE(AckOf(cluster.state, "s1")->ack().finished());
  EXPECT_FALSE(IsFree(cluster.state.servers.at("s1")));

  ASSERT_TRUE(cluster.Report("s1", "a", StageStatus::IDLE).ok());
  EXPECT_TRUE(IsFree(cluster.state.servers.at("s1")));
  EXPECT_EQ(cluster.server("s1").job_id(), "");
}

TEST(JobFlowTest, NextJobStartsOnTheServersThatBecameFree) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  ASSERT_TRUE(cluster.Submit("b", 1).ok());
  EXPECT_EQ(cluster.job("b").reason(),
            "needs 1 stage server, 0 idle of 1 registered; 1 busy");
  cluster.Run("a");
  cluster.Finish("a");
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_SUCCEEDED);
  EXPECT_EQ(cluster.job("b").state(), JOB_STATE_LOADING);
}

TEST(JobFlowTest, SmallJobDoesNotOvertakeALargeOlderOne) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("large", 2).ok());
  ASSERT_TRUE(cluster.Submit("small", 1).ok());
  EXPECT_EQ(cluster.job("small").state(), JOB_STATE_QUEUED);
  EXPECT_THAT(cluster.job("small").reason(), HasSubstr("waits behind large"));
  cluster.Join("s2");
  cluster.Join("s3");
  EXPECT_EQ(cluster.job("large").state(), JOB_STATE_LOADING);
  EXPECT_EQ(cluster.job("small").state(), JOB_STATE_LOADING);
}

TEST(JobFlowTest, SameKeyGivesTheSameJob) {
  Cluster cluster;
  ASSERT_EQ(cluster.Submit("a", 1).value_or("?"), "a");
  const auto again = cluster.Apply(
      JobSubmitted{Fence(), "key-a", "b", PlanOfRanks("a", 1), {0}});
  EXPECT_EQ(again.value_or("?"), "a");
  EXPECT_EQ(cluster.state.jobs.size(), 1);
  EXPECT_TRUE(MakeBatch(cluster.state, cluster.effects).empty());
}

TEST(JobFlowTest, SubmissionWithoutAKeyIsRefused) {
  Cluster cluster;
  EXPECT_TRUE(absl::IsInvalidArgument(
      cluster.Apply(JobSubmitted{Fence(), "", "a", PlanOfRanks("a", 1), {0}})
          .status()));
  EXPECT_THAT(cluster.state.jobs, IsEmpty());
}

TEST(JobFlowTest, EventsAreNumberedWithoutGaps) {
  Cluster cluster;
  cluster.Join("s1");
  const int64_t before = cluster.state.last_event_sequence;
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  int64_t expected = before;
  for (const Event& event : cluster.effects.batch.events) {
    EXPECT_EQ(event.sequence(), ++expected);
  }
  EXPECT_EQ(cluster.state.last_event_sequence, expected);
}

TEST(JobFlowTest, EqualEventsGiveEqualStates) {
  const auto play = [] {
    Cluster cluster;
    cluster.Join("s2");
    cluster.Join("s1");
    cluster.Submit("a", 2).IgnoreError();
    cluster.Run("a");
    cluster.Finish("a");
    return RowOf(cluster.state.jobs.at("a")).SerializeAsString();
  };
  EXPECT_EQ(play(), play());
}

TEST(CancelTest, QueuedJobIsCancelledAtOnce) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  ASSERT_TRUE(cluster.Cancel("a").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_CANCELLED);
  EXPECT_EQ(cluster.job("a").reason(), "not needed");
}

TEST(CancelTest, RunningJobIsCancelledWhenItsServersAreIdle) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Join("s2");
  ASSERT_TRUE(cluster.Submit("a", 2).ok());
  cluster.Run("a");
  ASSERT_TRUE(cluster.Cancel("a").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_CANCELLING);
  EXPECT_THAT(cluster.effects.desired, UnorderedElementsAre("s1", "s2"));
  ASSERT_TRUE(cluster.Report("s1", "a", StageStatus::IDLE).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_CANCELLING);
  ASSERT_TRUE(cluster.Report("s2", "a", StageStatus::IDLE).ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_CANCELLED);
}

TEST(CancelTest, EndedJobStaysAsItIs) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.Run("a");
  cluster.Finish("a");
  ASSERT_TRUE(cluster.Cancel("a").ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_SUCCEEDED);
}

TEST(CancelTest, FencedByAnotherEpoch) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  Fence fence;
  fence.set_job_epoch(7);
  EXPECT_TRUE(absl::IsAborted(
      cluster.Apply(JobCancelRequested{fence, "a", ""}).status()));
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_LOADING);
}

TEST(CancelTest, CancelledWhileALostServerWasTheLastOne) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.Run("a");
  ASSERT_TRUE(cluster.Cancel("a").ok());
  cluster.Break("s1");
  cluster.Advance(cluster.state.timing.lost_after);
  ASSERT_TRUE(cluster.Tick().ok());
  EXPECT_EQ(cluster.job("a").state(), JOB_STATE_CANCELLED);
}

TEST(PlanForRankTest, HoldsTheRanksOwnListsInEveryPart) {
  Plan plan;
  wire::Schedule& schedule = *plan.mutable_schedule();
  for (auto* const lists : {schedule.mutable_ranks(), schedule.mutable_period(),
                            schedule.mutable_epilogue()}) {
    for (int rank = 0; rank < 3; ++rank) lists->Add()->add_actions();
  }
  const Plan own = PlanForRank(plan, 1);
  for (const auto* const lists :
       {&own.schedule().ranks(), &own.schedule().period(),
        &own.schedule().epilogue()}) {
    ASSERT_EQ(lists->size(), 3);
    for (int rank = 0; rank < 3; ++rank) {
      EXPECT_EQ((*lists)[rank].actions_size(), rank == 1 ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace penstock
