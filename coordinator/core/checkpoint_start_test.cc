// Jobs that start from a checkpoint, and jobs that stop for a while.
#include "checkpoint/shards/corruption.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/checkpointed_layers.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/plan_builder.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kLong = 1000;

DesiredState Desired(const Cluster& cluster, const std::string& server) {
  return DesiredOf(cluster.state, server).desired();
}

// A job "a" that runs and has checkpoints of steps 5 and 10.
class CheckpointStartTest : public ::testing::Test {
 protected:
  CheckpointStartTest() {
    cluster_.Train("a", EverySteps(5), kLong).IgnoreError();
    cluster_.Run("a");
    for (const int64_t step : {5, 10}) {
      cluster_.MakeSteps("a", step - 4, step);
      cluster_.MakeCheckpoint("a", step);
    }
  }

  void EndA() {
    cluster_.Cancel("a").IgnoreError();
    for (const char* id : {"s1", "s2"}) {
      cluster_.Report(id, "a", StageStatus::IDLE).IgnoreError();
    }
  }

  std::shared_ptr<const CheckpointManifest> Manifest(int64_t step) {
    return std::make_shared<const CheckpointManifest>(
        cluster_.ManifestOfStep("a", step));
  }

  Job NewJob(const std::string& resume, const std::string& from = "") {
    Job job = SmallJob();
    job.set_name("a");
    job.set_steps(kLong);
    job.mutable_start()->set_resume(resume);
    job.mutable_start()->set_from(from);
    return job;
  }

  TrainingCluster cluster_;
};

TEST_F(CheckpointStartTest, NewestOfTheSameNameIsChosenOnceThatJobHasEnded) {
  const auto early = ChooseStart(cluster_.state, NewJob("auto"));
  EXPECT_TRUE(absl::IsFailedPrecondition(early.status()));
  EXPECT_THAT(early.status().message(), HasSubstr("job a of that name is RUN"));
  EndA();
  const auto chosen = ChooseStart(cluster_.state, NewJob("auto"));
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ((*chosen)->step(), 10);
  EXPECT_FALSE(ChooseStart(cluster_.state, NewJob("never"))->has_value());
}

TEST_F(CheckpointStartTest, WithoutOneAutoBeginsAndRequireRefuses) {
  Job job = NewJob("auto");
  job.set_name("other");
  EXPECT_FALSE(ChooseStart(cluster_.state, job)->has_value());
  job.mutable_start()->set_resume("require");
  const auto refused = ChooseStart(cluster_.state, job);
  EXPECT_TRUE(absl::IsNotFound(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("\"other\""));
}

TEST_F(CheckpointStartTest, FromNamesAStepAndTheNearestWhereThereIsNone) {
  EXPECT_EQ((*ChooseStart(cluster_.state, NewJob("", "a@5")))->step(), 5);
  EXPECT_EQ((*ChooseStart(cluster_.state, NewJob("", "a")))->step(), 10);
  const auto missing = ChooseStart(cluster_.state, NewJob("", "a@7"));
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(missing.status().message(),
              AllOf(HasSubstr("no checkpoint of step 7"), HasSubstr("a@5")));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ChooseStart(cluster_.state, NewJob("", "a@soon")).status()));
}

TEST_F(CheckpointStartTest, RanksGetTheirFilesAndTheStepGoesOn) {
  EndA();
  ASSERT_TRUE(cluster_.Train("b", EverySteps(5), kLong, Manifest(10)).ok());
  const DesiredState desired = Desired(cluster_, "s1");
  EXPECT_EQ(desired.restore().checkpoint().step(), 10);
  EXPECT_EQ(desired.restore().state().step(), 10);
  EXPECT_FALSE(desired.restore().weights_only());
  EXPECT_FALSE(desired.restore().other_shape());
  EXPECT_EQ(desired.snapshot_step(), 15);
  const int all = Manifest(10)->files_size();
  EXPECT_GT(desired.restore().files_size(), 0);
  EXPECT_EQ(desired.restore().files_size() +
                Desired(cluster_, "s2").restore().files_size(),
            all);
  cluster_.Run("b");
  cluster_.MakeSteps("b", 11, 12);
  EXPECT_EQ(cluster_.job("b").latest().step(), 12);
}

TEST_F(CheckpointStartTest, AnotherCutIsAnotherShape) {
  EndA();
  Job job = NewJob("auto");
  *job.mutable_checkpoint() = EverySteps(5);
  auto& stages = *job.mutable_partition()->mutable_explicit_layers();
  stages.Add()->add_layers("embed");
  StageLayers& rest = *stages.Add();
  for (const char* layer : {"h0.attn", "h0.mlp", "h1.attn", "h1.mlp",
                            "final_norm", "head", "loss"}) {
    rest.add_layers(layer);
  }
  const auto built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  ASSERT_TRUE(cluster_
                  .Apply(JobSubmitted{Fence(), "key", "b",
                                      std::make_shared<const Plan>(built->plan),
                                      built->parameter_layers, Manifest(10)})
                  .ok());
  EXPECT_TRUE(Desired(cluster_, "s1").restore().other_shape());
}

TEST_F(CheckpointStartTest, FromTakesTheWeightsAloneAndBeginsAtStepZero) {
  EndA();
  ASSERT_TRUE(
      cluster_.Train("b", EverySteps(5), kLong, Manifest(10), "a@10").ok());
  const DesiredState desired = Desired(cluster_, "s1");
  EXPECT_TRUE(desired.restore().weights_only());
  EXPECT_EQ(desired.snapshot_step(), 5);
  EXPECT_EQ(cluster_.job("b").latest().step(), 0);
}

TEST_F(CheckpointStartTest, ADamagedOneIsLeftForTheOlder) {
  EndA();
  ASSERT_TRUE(cluster_.Train("b", EverySteps(5), kLong, Manifest(10)).ok());
  ASSERT_TRUE(cluster_
                  .Report("s2", "b", StageStatus::FAULTED,
                          std::string(kCorruptCheckpoint) + "l0001: crc32c")
                  .ok());
  EXPECT_EQ(cluster_.job("b").state(), JOB_STATE_QUEUED);
  EXPECT_EQ(cluster_.Catalog("a"), "5 COMMITTED, 10 CORRUPT");
  EXPECT_THAT(cluster_.EventKinds(), Contains("JOB_STARTS_FROM_OLDER"));
  const auto reads = cluster_.WorkOf<ReadManifest>();
  ASSERT_THAT(reads, SizeIs(1));
  EXPECT_EQ(reads[0].id.step(), 5);
  EXPECT_EQ(cluster_.job("b").latest().step(), 5);

  for (const char* id : {"s1", "s2"}) {
    cluster_.Report(id, "b", StageStatus::IDLE).IgnoreError();
  }
  EXPECT_EQ(cluster_.job("b").state(), JOB_STATE_QUEUED) << "not read yet";
  ASSERT_TRUE(cluster_.Apply(ManifestRead{"b", reads[0].id, Manifest(5)}).ok());
  EXPECT_EQ(cluster_.job("b").state(), JOB_STATE_LOADING);
  EXPECT_EQ(Desired(cluster_, "s1").restore().checkpoint().step(), 5);
}

TEST_F(CheckpointStartTest, WithoutAnOlderOneTheJobFails) {
  EndA();
  ASSERT_TRUE(cluster_.Train("b", EverySteps(5), kLong, Manifest(5)).ok());
  ASSERT_TRUE(cluster_
                  .Report("s2", "b", StageStatus::FAULTED,
                          std::string(kCorruptCheckpoint) + "l0001: crc32c")
                  .ok());
  EXPECT_EQ(cluster_.job("b").state(), JOB_STATE_FAILED);
  EXPECT_THAT(cluster_.job("b").reason(),
              AllOf(HasSubstr("no older one"), HasSubstr("l0001")));
}

TEST_F(CheckpointStartTest, ARestartedCoordinatorReadsTheStartAgain) {
  EndA();
  cluster_.Break("s2");
  ASSERT_TRUE(cluster_.Train("b", EverySteps(5), kLong, Manifest(10)).ok());
  ASSERT_EQ(cluster_.job("b").state(), JOB_STATE_QUEUED);
  cluster_.RestartCoordinator(std::vector<FoundCheckpoint>{
      {cluster_.IdOf("a", 5), nullptr}, {cluster_.IdOf("a", 10), nullptr}});
  EXPECT_THAT(cluster_.WorkOf<ReadManifest>(), SizeIs(1));
  EXPECT_EQ(cluster_.job("b").latest().step(), 10);
}

TEST_F(CheckpointStartTest, WhatAJobWillStartFromIsNeitherExpiredNorDeleted) {
  EndA();
  cluster_.Break("s2");
  ASSERT_TRUE(cluster_.Train("b", EverySteps(5), kLong, Manifest(10)).ok());
  const auto refused =
      cluster_.Apply(CheckpointDeleteRequested{Fence(), "a@10", true});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("job b"));
}

// ---- Whether a checkpoint fits a job --------------------------------------

TEST_F(CheckpointStartTest, AModelThatChangedIsRefusedWithItsLayers) {
  Job job = NewJob("auto");
  EXPECT_TRUE(CheckStart(job, *Manifest(10)).ok());
  (*job.mutable_model()->mutable_overrides())["layers"] = "3";
  const absl::Status refused = CheckStart(job, *Manifest(10));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(refused.message(),
              AllOf(HasSubstr("does not fit"), HasSubstr("h2")));
}

TEST_F(CheckpointStartTest, AJobThatHasNoStepLeftIsRefused) {
  Job job = NewJob("auto");
  job.set_steps(10);
  const absl::Status refused = CheckStart(job, *Manifest(10));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(refused.message(), HasSubstr("has made 10 steps"));
  job.mutable_start()->set_resume("");
  job.mutable_start()->set_from("a@10");
  EXPECT_TRUE(CheckStart(job, *Manifest(10)).ok());
}

// ---- Suspension -----------------------------------------------------------

TEST_F(CheckpointStartTest, SuspensionKeepsACheckpointAndFreesTheServers) {
  cluster_.MakeSteps("a", 11, 11);
  ASSERT_TRUE(cluster_.Apply(JobSuspendRequested{Fence(), "a", ""}).ok());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_SUSPENDING);
  const int64_t step = cluster_.NextStep("a");
  EXPECT_GT(step, 11);
  EXPECT_LT(step, 15);
  EXPECT_EQ(Desired(cluster_, "s1").goal(), DesiredState::RUN);
  EXPECT_EQ(Desired(cluster_, "s1").snapshot_step(), step);
  cluster_.MakeSteps("a", 12, step);
  cluster_.MakeCheckpoint("a", step);
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_SUSPENDED);
  EXPECT_EQ(Desired(cluster_, "s1").goal(), DesiredState::BE_IDLE);
  for (const char* id : {"s1", "s2"}) {
    cluster_.Report(id, "a", StageStatus::IDLE).IgnoreError();
  }
  EXPECT_EQ(cluster_.server("s1").state(), SERVER_STATE_IDLE);
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_SUSPENDED);

  ASSERT_TRUE(
      cluster_.Apply(JobResumeRequested{Fence(), "a", Manifest(step)}).ok());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_LOADING);
  EXPECT_EQ(cluster_.job("a").epoch(), 2);
  EXPECT_EQ(Desired(cluster_, "s1").restore().checkpoint().step(), step);
  EXPECT_EQ(cluster_.job("a").started_from().checkpoint().epoch(), 1);
}

TEST_F(CheckpointStartTest, ASuspensionThatCannotBeKeptLetsTheJobGoOn) {
  ASSERT_TRUE(cluster_.Apply(JobSuspendRequested{Fence(), "a", ""}).ok());
  const int64_t step = cluster_.NextStep("a");
  ASSERT_TRUE(cluster_.ReportShards("s1", "a", step, "disk full").ok());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_RUNNING);
  EXPECT_THAT(cluster_.job("a").reason(), HasSubstr("disk full"));
}

TEST_F(CheckpointStartTest, AJobWithoutCheckpointsIsNotSuspended) {
  EndA();
  ASSERT_TRUE(cluster_.Submit("plain", 2).ok());
  cluster_.Run("plain");
  const auto refused =
      cluster_.Apply(JobSuspendRequested{Fence(), "plain", ""});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("has no checkpoints"));
}

TEST_F(CheckpointStartTest, AWaitingJobIsSuspendedAtOnceAndResumed) {
  ASSERT_TRUE(cluster_.Train("b", EverySteps(5), kLong).ok());
  ASSERT_TRUE(cluster_.Apply(JobSuspendRequested{Fence(), "b", ""}).ok());
  EXPECT_EQ(cluster_.job("b").state(), JOB_STATE_SUSPENDED);
  ASSERT_TRUE(cluster_.Apply(JobSuspendRequested{Fence(), "b", ""}).ok());
  ASSERT_TRUE(cluster_.Apply(JobResumeRequested{Fence(), "b", nullptr}).ok());
  EXPECT_EQ(cluster_.job("b").state(), JOB_STATE_QUEUED);
  ASSERT_TRUE(cluster_.Apply(JobResumeRequested{Fence(), "b", nullptr}).ok());
}

TEST_F(CheckpointStartTest, AnEndedJobIsNeitherSuspendedNorResumed) {
  EndA();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      cluster_.Apply(JobSuspendRequested{Fence(), "a", ""}).status()));
  const auto refused =
      cluster_.Apply(JobResumeRequested{Fence(), "a", nullptr});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("--resume=require"));
}

}  // namespace
}  // namespace penstock
