// Weights that were trained elsewhere, as the coordinator knows them.
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/plan_builder.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ImportTest : public ::testing::Test {
 protected:
  // A small model's weights, as job "base" of the name "base".
  absl::StatusOr<std::string> Import(const std::string& key = "key") {
    Job job = SmallJob();
    job.set_name("base");
    BuiltPlan built = BuildPlan(job).value();
    CheckpointManifest manifest;
    manifest.mutable_id()->set_job_id("base");
    manifest.mutable_id()->set_epoch(1);
    manifest.set_schedule("imported");
    return cluster_.Apply(WeightsImported{
        Fence(), key, std::make_shared<const CheckpointManifest>(manifest),
        std::make_shared<const Plan>(std::move(built.plan)),
        std::move(built.parameter_layers), "/weights"});
  }

  TrainingCluster cluster_;
};

TEST_F(ImportTest, IsACompleteCheckpointOfAJobThatNeverRan) {
  const auto id = Import();
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, "base");
  EXPECT_EQ(cluster_.job("base").state(), JOB_STATE_SUCCEEDED);
  EXPECT_THAT(cluster_.job("base").reason(), HasSubstr("/weights"));
  EXPECT_EQ(cluster_.Catalog("base"), "0 COMMITTED");
  EXPECT_EQ(cluster_.effects.batch.plans.count("base"), 1u);
  EXPECT_EQ(cluster_.effects.changed_jobs.count("base"), 1u);
  EXPECT_THAT(cluster_.effects.checkpoint_work, IsEmpty());
}

TEST_F(ImportTest, SentTwiceItIsOne) {
  ASSERT_TRUE(Import().ok());
  EXPECT_EQ(Import().value(), "base");
  EXPECT_EQ(cluster_.state.jobs.size(), 1u);
  const absl::Status other = Import("other key").status();
  EXPECT_TRUE(absl::IsAlreadyExists(other)) << other;
}

TEST_F(ImportTest, TrainingBeginsWithItButNeverGoesOnWithIt) {
  ASSERT_TRUE(Import().ok());
  Job job = SmallJob();
  job.set_name("base");
  job.mutable_start()->set_from("base");
  const auto chosen = ChooseStart(cluster_.state, job);
  ASSERT_TRUE(chosen.ok() && chosen->has_value()) << chosen.status();
  EXPECT_EQ((*chosen)->step(), 0);
  job.mutable_start()->clear_from();
  job.mutable_start()->set_resume("auto");
  EXPECT_FALSE(ChooseStart(cluster_.state, job)->has_value());
}

TEST_F(ImportTest, ItIsThereAfterARestartAndNamedWhenItIsGone) {
  ASSERT_TRUE(Import().ok());
  CheckpointId id;
  id.set_job_id("base");
  id.set_epoch(1);
  CoordinatorStarted event{"build", "secret",
                           std::vector<FoundCheckpoint>{{id, nullptr}}};
  ASSERT_TRUE(cluster_.Apply(event).ok());
  EXPECT_EQ(cluster_.Catalog("base"), "0 COMMITTED");
  event.checkpoints->clear();
  ASSERT_TRUE(cluster_.Apply(event).ok());
  EXPECT_EQ(cluster_.Catalog("base"), "0 CORRUPT");
}

TEST_F(ImportTest, ItsDeletionSaysThatWeightsAreLost) {
  ASSERT_TRUE(Import().ok());
  const auto refused =
      cluster_.Apply(CheckpointDeleteRequested{Fence(), "base", false});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(),
              HasSubstr("the imported weights are lost"));
  EXPECT_TRUE(
      cluster_.Apply(CheckpointDeleteRequested{Fence(), "base", true}).ok());
  EXPECT_EQ(cluster_.Catalog("base"), "0 EXPIRING");
}

}  // namespace
}  // namespace penstock
