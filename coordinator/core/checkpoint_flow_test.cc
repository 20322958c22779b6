// A job's checkpoints, from the plan of a snapshot to COMMIT and deletion.
#include "checkpoint/transfer/token.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr int64_t kLong = 1000;

DesiredState Desired(const Cluster& cluster, const std::string& server) {
  return DesiredOf(cluster.state, server).desired();
}

// A job that runs.
class CheckpointFlowTest : public ::testing::Test {
 protected:
  void Start(const CheckpointSpec& spec, int64_t steps = kLong) {
    ASSERT_TRUE(cluster_.Train("a", spec, steps).ok());
    cluster_.Run("a");
    ASSERT_EQ(cluster_.job("a").state(), JOB_STATE_RUNNING);
  }

  TrainingCluster cluster_;
};

TEST_F(CheckpointFlowTest, FirstSnapshotIsNamedBeforeTheRanksLoad) {
  ASSERT_TRUE(cluster_.Train("a", EverySteps(5), kLong).ok());
  const DesiredState desired = Desired(cluster_, "s1");
  EXPECT_EQ(desired.goal(), DesiredState::LOAD);
  EXPECT_EQ(desired.snapshot_step(), 5);
  EXPECT_EQ(desired.checkpoints().address(), "127.0.0.1:1");
  const auto claim =
      ReadTransferToken("a key of the store's", desired.checkpoints().token());
  ASSERT_TRUE(claim.ok()) << claim.status();
  EXPECT_EQ(claim->job_id, "a");
  EXPECT_EQ(claim->epoch, 1);
  EXPECT_FALSE(desired.has_restore());
}

TEST_F(CheckpointFlowTest, TheStoreHearsOfTheEpochBeforeItsRanksDo) {
  ASSERT_TRUE(cluster_.Train("a", EverySteps(5), kLong).ok());
  const auto begun = cluster_.WorkOf<BeginStoreEpoch>();
  ASSERT_THAT(begun, SizeIs(1));
  EXPECT_EQ(begun[0].epoch, 1);
}

TEST_F(CheckpointFlowTest, JobWithoutCheckpointKeysHasNone) {
  cluster_.Submit("plain", 2).IgnoreError();
  EXPECT_FALSE(cluster_.job("plain").has_checkpoints());
  EXPECT_FALSE(Desired(cluster_, "s1").has_checkpoints());
  EXPECT_EQ(Desired(cluster_, "s1").snapshot_step(), 0);
}

TEST_F(CheckpointFlowTest, AllShardsAndTheStepMakeACommit) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 4);
  ASSERT_TRUE(cluster_.ReportSnapshot("s1", "a", 5).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 PREPARING");
  EXPECT_THAT(cluster_.EventKinds(), ElementsAre("CHECKPOINT_PREPARING"));
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", 5).ok());
  ASSERT_TRUE(cluster_.ReportShards("s2", "a", 5).ok());
  EXPECT_THAT(cluster_.WorkOf<CommitCheckpoint>(), IsEmpty())
      << "no rank has reported the step";
  cluster_.MakeSteps("a", 5, 5);
  const auto commits = cluster_.WorkOf<CommitCheckpoint>();
  ASSERT_THAT(commits, SizeIs(1));
  EXPECT_EQ(commits[0].manifest.id().step(), 5);
  EXPECT_EQ(commits[0].manifest.id().epoch(), 1);
  EXPECT_EQ(commits[0].manifest.state().stages_size(), 2);
  EXPECT_EQ(commits[0].manifest.stages(), 2);
  EXPECT_EQ(cluster_.Catalog("a"), "5 SHARDS_DONE");

  ASSERT_TRUE(cluster_.Stored("a", 5).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 COMMITTED");
  EXPECT_EQ(cluster_.job("a").checkpoints().newest_step(), 5);
  EXPECT_EQ(cluster_.job("a").checkpoints().blocked_nanos(), 1'000'000);
  EXPECT_EQ(cluster_.NextStep("a"), 10);
  EXPECT_THAT(cluster_.effects.desired, UnorderedElementsAre("s1", "s2"));
}

TEST_F(CheckpointFlowTest, ReportsThatComeTwiceAreHarmless) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.ReportAllShards("a", 5);
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", 5).ok());
  EXPECT_THAT(cluster_.WorkOf<CommitCheckpoint>(), IsEmpty());
  ASSERT_TRUE(cluster_.Stored("a", 5).ok());
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", 5).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 COMMITTED");
}

TEST_F(CheckpointFlowTest, EvaluationOfTheStepGoesIntoTheManifest) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 4);
  cluster_.ReportAllShards("a", 5);
  StageMessage message;
  message.mutable_steps()->set_job_id("a");
  message.mutable_steps()->add_reports()->set_step(5);
  message.mutable_steps()->mutable_reports(0)->set_evaluation_loss(1.5);
  ASSERT_TRUE(cluster_.Say("s2", message).ok());
  ASSERT_TRUE(cluster_.ReportStep("s1", "a", 5).ok());
  const auto commits = cluster_.WorkOf<CommitCheckpoint>();
  ASSERT_THAT(commits, SizeIs(1));
  EXPECT_EQ(commits[0].manifest.evaluation_loss(), 1.5);
}

TEST_F(CheckpointFlowTest, AMissingLayerIsNotCommitted) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", 5).ok());
  StageMessage message;
  *message.mutable_shards()->mutable_checkpoint() = cluster_.IdOf("a", 5);
  message.mutable_shards()->set_plan_hash(
      cluster_.state.jobs.at("a").plan->shape_hash());
  message.mutable_shards()->mutable_state()->set_step(5);
  ASSERT_TRUE(cluster_.Say("s2", message).ok());
  EXPECT_THAT(cluster_.WorkOf<CommitCheckpoint>(), IsEmpty());
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED");
  EXPECT_THAT(cluster_.state.jobs.at("a").checkpoints[0].reason(),
              HasSubstr("head"));
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_EQ(cluster_.NextStep("a"), 10);
}

TEST_F(CheckpointFlowTest, ShardsOfAnotherPlanAreNotCommitted) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  StageMessage message;
  *message.mutable_shards()->mutable_checkpoint() = cluster_.IdOf("a", 5);
  message.mutable_shards()->set_plan_hash("another");
  ASSERT_TRUE(cluster_.Say("s1", message).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED");
  EXPECT_THAT(cluster_.state.jobs.at("a").checkpoints[0].reason(),
              HasSubstr("plan hash another"));
}

TEST_F(CheckpointFlowTest, ARankThatWasPastTheStepMovesItAway) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  ASSERT_TRUE(cluster_.ReportSnapshot("s1", "a", 5).ok());
  const absl::Duration lead = cluster_.state.jobs.at("a").snapshot_lead;
  ASSERT_TRUE(cluster_.ReportSnapshot("s2", "a", 5, /*missed=*/true).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED");
  EXPECT_EQ(cluster_.NextStep("a"), 10);
  EXPECT_GT(cluster_.state.jobs.at("a").snapshot_lead, lead);
  EXPECT_EQ(cluster_.job("a").checkpoints().abandoned(), 1);
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", 5).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED") << "came too late";
}

TEST_F(CheckpointFlowTest, AStoreThatRefusesCostsTheCheckpointNotTheJob) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.ReportAllShards("a", 5);
  ASSERT_TRUE(
      cluster_.Stored("a", 5, absl::ResourceExhaustedError("disk full")).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED");
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_RUNNING);
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", 10, "no route").ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED, 10 ABANDONED");
  EXPECT_THAT(cluster_.state.jobs.at("a").checkpoints[1].reason(),
              HasSubstr("no route"));
}

TEST_F(CheckpointFlowTest, SlowStorageStretchesTheIntervalAndSaysSo) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.ReportAllShards("a", 5);
  cluster_.MakeSteps("a", 6, 17);
  ASSERT_TRUE(cluster_.Stored("a", 5).ok());
  EXPECT_EQ(cluster_.NextStep("a"), 20);
  EXPECT_EQ(cluster_.job("a").checkpoints().skipped_intervals(), 2);
}

TEST_F(CheckpointFlowTest, TimeMakesOneDueBetweenTheSteps) {
  CheckpointSpec spec = EverySteps(500);
  spec.set_every_seconds(60);
  Start(spec);
  cluster_.MakeSteps("a", 1, 30);
  cluster_.Advance(absl::Seconds(59));
  for (const char* id : {"s1", "s2"}) cluster_.Heartbeat(id).IgnoreError();
  ASSERT_TRUE(cluster_.Tick().ok());
  EXPECT_EQ(cluster_.NextStep("a"), 500);
  cluster_.Advance(absl::Seconds(1));
  ASSERT_TRUE(cluster_.Tick().ok());
  // A step takes a second: no rank can be past 32.
  EXPECT_EQ(cluster_.NextStep("a"), 33);
  EXPECT_THAT(cluster_.effects.desired, UnorderedElementsAre("s1", "s2"));
  cluster_.Advance(absl::Seconds(1));
  ASSERT_TRUE(cluster_.Tick().ok());
  EXPECT_EQ(cluster_.NextStep("a"), 33);
}

TEST_F(CheckpointFlowTest, OldOnesExpireAndAreDeleted) {
  Start(EverySteps(5, /*keep_last=*/1));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.MakeCheckpoint("a", 5);
  cluster_.MakeSteps("a", 6, 10);
  cluster_.MakeCheckpoint("a", 10);
  EXPECT_EQ(cluster_.Catalog("a"), "5 EXPIRING, 10 COMMITTED");
  const auto removals = cluster_.WorkOf<RemoveCheckpoint>();
  ASSERT_THAT(removals, SizeIs(1));
  EXPECT_EQ(removals[0].id.step(), 5);
  ASSERT_TRUE(cluster_
                  .Apply(CheckpointRemoved{removals[0].id,
                                           absl::UnknownError("I/O error")})
                  .ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 EXPIRING, 10 COMMITTED");
  ASSERT_TRUE(
      cluster_.Apply(CheckpointRemoved{removals[0].id, absl::OkStatus()}).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 DELETED, 10 COMMITTED");
}

TEST_F(CheckpointFlowTest, APinKeepsOne) {
  Start(EverySteps(5, /*keep_last=*/1));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.MakeCheckpoint("a", 5);
  ASSERT_TRUE(
      cluster_.Apply(CheckpointPinRequested{Fence(), "a@5", true}).ok());
  cluster_.MakeSteps("a", 6, 10);
  cluster_.MakeCheckpoint("a", 10);
  EXPECT_EQ(cluster_.Catalog("a"), "5 COMMITTED, 10 COMMITTED");
}

TEST_F(CheckpointFlowTest, TheJobEndsOnlyWithItsLastCheckpoint) {
  Start(EverySteps(500), /*steps=*/3);
  EXPECT_EQ(cluster_.NextStep("a"), 3);
  cluster_.MakeSteps("a", 1, 3);
  cluster_.FinishRanks("a");
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_COMPLETING);
  EXPECT_THAT(cluster_.job("a").reason(), HasSubstr("last step"));
  cluster_.ReportAllShards("a", 3);
  const auto commits = cluster_.WorkOf<CommitCheckpoint>();
  ASSERT_THAT(commits, SizeIs(1));
  EXPECT_THAT(commits[0].manifest.weights_digest(), SizeIs(64));
  ASSERT_TRUE(cluster_.Stored("a", 3).ok());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_SUCCEEDED);
  EXPECT_EQ(cluster_.job("a").weights_digest(),
            commits[0].manifest.weights_digest());
}

TEST_F(CheckpointFlowTest, AJobWhoseLastCheckpointIsLostFails) {
  Start(EverySteps(2), /*steps=*/3);
  cluster_.MakeSteps("a", 1, 2);
  cluster_.MakeCheckpoint("a", 2);
  cluster_.MakeSteps("a", 3, 3);
  cluster_.FinishRanks("a");
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", 3, "disk full").ok());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_FAILED);
  EXPECT_THAT(cluster_.job("a").reason(), HasSubstr("disk full"));
  EXPECT_THAT(cluster_.job("a").reason(), HasSubstr("of step 2"));
}

TEST_F(CheckpointFlowTest, AFaultGivesTheUnfinishedOneUpAndClosesTheEpoch) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  ASSERT_TRUE(cluster_.ReportSnapshot("s1", "a", 5).ok());
  ASSERT_TRUE(cluster_.Report("s2", "a", StageStatus::FAULTED, "boom").ok());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_FAILED);
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED");
  const auto begun = cluster_.WorkOf<BeginStoreEpoch>();
  ASSERT_THAT(begun, SizeIs(1));
  EXPECT_EQ(begun[0].epoch, 2);
  EXPECT_THAT(cluster_.EventKinds(), Contains("CHECKPOINT_ABANDONED"));
}

TEST_F(CheckpointFlowTest, ACommitThatWasUnderWayWhenTheJobFailedCounts) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.ReportAllShards("a", 5);
  ASSERT_TRUE(cluster_.Report("s2", "a", StageStatus::FAULTED, "boom").ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 ABANDONED");
  ASSERT_TRUE(cluster_.Stored("a", 5).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 COMMITTED");
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_FAILED);
  EXPECT_EQ(cluster_.NextStep("a"), 0);
}

TEST_F(CheckpointFlowTest, DeletionOfTheOnlyOneNeedsForceAndSaysWhatIsLost) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.MakeCheckpoint("a", 5);
  const auto refused =
      cluster_.Apply(CheckpointDeleteRequested{Fence(), "a@5", false});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("5 steps"));
  ASSERT_TRUE(
      cluster_.Apply(CheckpointDeleteRequested{Fence(), "a@5", true}).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 EXPIRING");
  EXPECT_EQ(cluster_.job("a").checkpoints().newest_step(), 0);
  EXPECT_THAT(cluster_.WorkOf<RemoveCheckpoint>(), SizeIs(1));
}

TEST_F(CheckpointFlowTest, DeletionOfAPinnedOneNeedsForce) {
  Start(EverySteps(5));
  for (const int64_t step : {5, 10}) {
    cluster_.MakeSteps("a", step - 4, step);
    cluster_.MakeCheckpoint("a", step);
  }
  ASSERT_TRUE(
      cluster_.Apply(CheckpointPinRequested{Fence(), "a@5", true}).ok());
  const auto refused =
      cluster_.Apply(CheckpointDeleteRequested{Fence(), "a@5", false});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(),
              AllOf(HasSubstr("is pinned"), HasSubstr("--force")));
  EXPECT_TRUE(
      cluster_.Apply(CheckpointDeleteRequested{Fence(), "a@5", true}).ok());
}

// ---- Restarts of the coordinator ------------------------------------------

class CheckpointRestartTest : public CheckpointFlowTest {
 protected:
  void Restart(const std::vector<FoundCheckpoint>& found) {
    cluster_.RestartCoordinator(found);
  }
};

TEST_F(CheckpointRestartTest, ACommitThatWasNotHeardOfIsAdopted) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.ReportAllShards("a", 5);
  const CheckpointManifest manifest =
      cluster_.WorkOf<CommitCheckpoint>().at(0).manifest;
  Restart(
      {{manifest.id(), std::make_shared<const CheckpointManifest>(manifest)}});
  EXPECT_EQ(cluster_.Catalog("a"), "5 COMMITTED");
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_EQ(cluster_.NextStep("a"), 10);
}

TEST_F(CheckpointRestartTest, OneOfALaterEpochIsAnotherCoordinators) {
  Start(EverySteps(5));
  CheckpointManifest manifest = cluster_.ManifestOfStep("a", 5);
  manifest.mutable_id()->set_epoch(2);
  Restart(
      {{manifest.id(), std::make_shared<const CheckpointManifest>(manifest)}});
  EXPECT_EQ(cluster_.Catalog("a"), "");
}

TEST_F(CheckpointRestartTest, RanksTellAgainAndTheCommitIsDoneAgain) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.ReportAllShards("a", 5);
  Restart({});
  EXPECT_EQ(cluster_.Catalog("a"), "5 SHARDS_DONE");
  EXPECT_EQ(cluster_.NextStep("a"), 5);
  for (const char* id : {"s1", "s2"}) {
    cluster_.Register(id, 1, "a", 1).IgnoreError();
    cluster_.Open(id).IgnoreError();
  }
  cluster_.ReportAllShards("a", 5);
  EXPECT_THAT(cluster_.WorkOf<CommitCheckpoint>(), SizeIs(1));
  ASSERT_TRUE(cluster_.Stored("a", 5).ok());
  EXPECT_EQ(cluster_.Catalog("a"), "5 COMMITTED");
}

TEST_F(CheckpointRestartTest, OneThatIsGoneFromTheStoreIsCorrupt) {
  Start(EverySteps(5));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.MakeCheckpoint("a", 5);
  Restart({});
  EXPECT_EQ(cluster_.Catalog("a"), "5 CORRUPT");
}

TEST_F(CheckpointRestartTest, ADeletionThatWasCutShortIsDoneAgain) {
  Start(EverySteps(5, /*keep_last=*/1));
  cluster_.MakeSteps("a", 1, 5);
  cluster_.MakeCheckpoint("a", 5);
  cluster_.MakeSteps("a", 6, 10);
  cluster_.MakeCheckpoint("a", 10);
  Restart(
      {{cluster_.IdOf("a", 5), nullptr}, {cluster_.IdOf("a", 10), nullptr}});
  EXPECT_EQ(cluster_.Catalog("a"), "5 EXPIRING, 10 COMMITTED");
  EXPECT_THAT(cluster_.WorkOf<RemoveCheckpoint>(), SizeIs(1));
}

}  // namespace
}  // namespace penstock
