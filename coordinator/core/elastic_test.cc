// Jobs that go on with fewer stages.
#include "coordinator/core/desired_state.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/plan_builder.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int64_t kLong = 1000;

// Job "a" of three stages on s1, s2 and s3, which may become one of two.
class ElasticTest : public ::testing::Test {
 protected:
  ElasticTest() {
    cluster_.restart_limit = 3;
    cluster_.stages = 3;
    cluster_.min_stages = 2;
    cluster_.ranks = 3;
    cluster_.Join("s3");
    cluster_.Train("a", EverySteps(5), kLong).IgnoreError();
    cluster_.Run("a");
    cluster_.MakeSteps("a", 1, 2);
  }

  // `id` is gone for good.
  void Lose(const std::string& id) {
    const std::vector<std::string> servers = cluster_.ServersOf("a");
    cluster_.Break(id);
    Wait(cluster_.state.timing.lost_after);
    for (const std::string& other : servers) {
      if (other == id) continue;
      cluster_.Report(other, "a", StageStatus::IDLE).IgnoreError();
    }
  }
  // Those that have a session are heard then.
  void Wait(absl::Duration time) {
    cluster_.Advance(time);
    std::vector<std::string> heard;
    for (const auto& [id, server] : cluster_.state.servers) {
      if (server.session != 0) heard.push_back(id);
    }
    for (const std::string& id : heard) cluster_.Heartbeat(id).IgnoreError();
    cluster_.Tick().IgnoreError();
  }
  JobState State() { return cluster_.job("a").state(); }
  int Stages() const { return cluster_.state.jobs.at("a").plan->stages_size(); }

  TrainingCluster cluster_;
};

TEST_F(ElasticTest, AfterAWhileItGoesOnWithAsManyStagesAsThereAreServers) {
  ASSERT_EQ(State(), JOB_STATE_RUNNING);
  Lose("s2");
  EXPECT_EQ(State(), JOB_STATE_QUEUED);
  EXPECT_EQ(Stages(), 3);
  Wait(cluster_.state.timing.suspect_after);
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_EQ(Stages(), 2);
  EXPECT_THAT(cluster_.EventKinds(), Contains("JOB_REPLANNED"));
  EXPECT_TRUE(cluster_.effects.batch.plans.contains("a"));
  EXPECT_EQ(DesiredOf(cluster_.state, "s3").desired().plan().stages_size(), 2);
  // What the user asked for stays.
  EXPECT_EQ(cluster_.job("a").job().partition().stages(), 3);
}

TEST_F(ElasticTest, AServerThatComesInTimeKeepsItsShape) {
  Lose("s2");
  Wait(absl::Seconds(1));
  cluster_.Join("s4");
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_EQ(Stages(), 3);
}

TEST_F(ElasticTest, TheNextRestartTakesAllStagesAgain) {
  Lose("s2");
  Wait(cluster_.state.timing.suspect_after);
  ASSERT_EQ(Stages(), 2);
  cluster_.Run("a");
  cluster_.MakeSteps("a", 1, 3);
  cluster_.Join("s4");
  cluster_.Join("s5");
  Lose("s1");
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_EQ(Stages(), 3);
}

TEST_F(ElasticTest, WithFewerServersThanItsLeastItWaits) {
  Lose("s2");
  cluster_.Break("s3");
  Wait(cluster_.state.timing.suspect_after);
  EXPECT_EQ(State(), JOB_STATE_QUEUED);
  EXPECT_THAT(cluster_.job("a").reason(), HasSubstr("needs 3 stage servers"));
  cluster_.Join("s4");
  EXPECT_EQ(State(), JOB_STATE_LOADING);
  EXPECT_EQ(Stages(), 2);
}

// The same job, which grows as soon as it can.
class GrowTest : public ElasticTest {
 protected:
  // It runs with two stages, on s1 and s3.
  void Shrink() {
    Lose("s2");
    Wait(cluster_.state.timing.suspect_after);
    cluster_.Run("a");
    ASSERT_EQ(State(), JOB_STATE_RUNNING);
    ASSERT_EQ(Stages(), 2);
  }
  void AllowGrowth() {
    JobRecord& job = cluster_.state.jobs.at("a");
    job.info.mutable_job()->mutable_elastic()->set_grow(true);
  }
  void MakeCheckpoint() {
    const int64_t step = cluster_.NextStep("a");
    cluster_.MakeSteps("a", cluster_.job("a").latest().step() + 1, step);
    cluster_.MakeCheckpoint("a", step);
  }
  const RestartReport& Last() { return *cluster_.job("a").restarts().rbegin(); }
};

TEST_F(GrowTest, AtItsNextCheckpointItTakesTheServersThatCame) {
  AllowGrowth();
  Shrink();
  cluster_.Join("s4");
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
  MakeCheckpoint();
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_EQ(Last().cause(), RESTART_CAUSE_RESIZE);
  EXPECT_EQ(Last().evidence(),
            "1 stage server is idle: it can have 3 stages instead of 2");
  EXPECT_EQ(cluster_.job("a").restarts_in_row(), 0);
  for (const char* id : {"s1", "s3"}) {
    cluster_.Report(id, "a", StageStatus::IDLE).IgnoreError();
  }
  EXPECT_EQ(State(), JOB_STATE_QUEUED);
  EXPECT_EQ(Stages(), 3);
  EXPECT_EQ(Last().steps_lost(), 0);
}

TEST_F(GrowTest, WithoutLeaveItStaysSmall) {
  Shrink();
  cluster_.Join("s4");
  MakeCheckpoint();
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
}

TEST_F(GrowTest, ACordonedServerIsNothingToGrowTo) {
  AllowGrowth();
  Shrink();
  cluster_.Join("s4");
  ASSERT_TRUE(cluster_.Cordon("s4").ok());
  MakeCheckpoint();
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
}

TEST_F(GrowTest, OneOfItsOwnThatIsCordonedDoesNotCount) {
  AllowGrowth();
  Shrink();
  cluster_.Join("s4");
  ASSERT_TRUE(cluster_.Cordon("s1").ok());
  MakeCheckpoint();
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
}

TEST_F(GrowTest, AJobThatWaitsForServersComesFirst) {
  AllowGrowth();
  Shrink();
  ASSERT_TRUE(cluster_.Submit("b", 2).ok());
  cluster_.Join("s4");
  MakeCheckpoint();
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
}

TEST_F(GrowTest, WithAllItsStagesItLeavesIdleServersAlone) {
  AllowGrowth();
  cluster_.Join("s4");
  MakeCheckpoint();
  EXPECT_EQ(State(), JOB_STATE_RUNNING);
  EXPECT_EQ(cluster_.job("a").restart_count(), 0);
}

TEST_F(GrowTest, BeyondWhatItBeganWithItGrowsToItsMost) {
  AllowGrowth();
  JobRecord& job = cluster_.state.jobs.at("a");
  job.info.mutable_job()->mutable_elastic()->set_max_stages(4);
  cluster_.Join("s4");
  MakeCheckpoint();
  EXPECT_EQ(State(), JOB_STATE_RECOVERING);
  EXPECT_THAT(Last().evidence(), HasSubstr("4 stages instead of 3"));
}

Job ElasticJob(int stages, int least) {
  Job job = SmallJob();
  job.mutable_partition()->set_stages(stages);
  job.mutable_elastic()->set_min_stages(least);
  job.mutable_restart()->set_limit(5);
  return job;
}

std::string Refusal(const Job& job) {
  return std::string(BuildPlan(job).status().message());
}

TEST(ElasticPlanTest, AJobThatCanShrinkIsTaken) {
  Job ranks = ElasticJob(3, 2);
  ranks.mutable_partition()->set_ranks(3);
  EXPECT_TRUE(BuildPlan(ranks).ok());
  EXPECT_TRUE(BuildPlan(ElasticJob(3, 1)).ok());
  EXPECT_TRUE(BuildPlan(ElasticJob(3, 3)).ok());
}

TEST(ElasticPlanTest, BoundsThatContradictAreRefused) {
  EXPECT_THAT(Refusal(ElasticJob(2, 3)),
              HasSubstr("elastic.min_stages is 3, and partition.stages is 2"));
  EXPECT_THAT(Refusal(ElasticJob(2, -1)), HasSubstr("elastic.min_stages"));
  Job never = ElasticJob(3, 2);
  never.mutable_restart()->set_limit(0);
  EXPECT_THAT(Refusal(never), HasSubstr("restart.limit is 0"));
}

TEST(ElasticPlanTest, AMostThatContradictsIsRefused) {
  Job job = ElasticJob(3, 0);
  job.mutable_elastic()->set_max_stages(2);
  EXPECT_THAT(Refusal(job),
              HasSubstr("elastic.max_stages is 2, and partition.stages is 3"));
  job.mutable_elastic()->set_max_stages(-1);
  EXPECT_THAT(Refusal(job), HasSubstr("elastic.max_stages"));
  job.mutable_elastic()->set_max_stages(1000);
  EXPECT_THAT(Refusal(job), HasSubstr("elastic.max_stages: with 1000 stages"));
  job.mutable_elastic()->set_max_stages(4);
  EXPECT_EQ(Refusal(job), "");
  job.mutable_restart()->set_limit(0);
  EXPECT_THAT(Refusal(job), HasSubstr("elastic.max_stages is 4, and "
                                      "restart.limit is 0"));
}

TEST(ElasticPlanTest, GrowthToNothingIsRefused) {
  Job job = ElasticJob(3, 0);
  job.mutable_elastic()->set_grow(true);
  EXPECT_THAT(Refusal(job), HasSubstr("elastic.grow is true"));
  job.mutable_elastic()->set_min_stages(3);
  EXPECT_THAT(Refusal(job), HasSubstr("elastic.grow is true"));
  job.mutable_elastic()->set_min_stages(2);
  EXPECT_EQ(Refusal(job), "");
}

TEST(ElasticPlanTest, WhatIsForOneNumberOfStagesIsRefused) {
  Job given = ElasticJob(3, 2);
  given.mutable_schedule()->set_text("schedule");
  EXPECT_THAT(Refusal(given), HasSubstr("schedule.file is for"));
  Job layers = ElasticJob(3, 2);
  layers.mutable_partition()->add_explicit_layers()->add_layers("embed");
  EXPECT_THAT(Refusal(layers), HasSubstr("partition.layers is for"));
}

TEST(ElasticPlanTest, APolicyWhoseBitsDependOnTheStagesIsRefused) {
  Job job = ElasticJob(2, 1);
  job.mutable_schedule()->clear_name();
  job.mutable_weights()->set_policy("double_buffer");
  EXPECT_THAT(Refusal(job), HasSubstr("weights.policy is double_buffer"));
}

TEST(ElasticPlanTest, NegativeNumbersAreRefused) {
  Job job = SmallJob();
  job.mutable_restart()->set_limit(-1);
  EXPECT_THAT(Refusal(job), HasSubstr("restart.limit"));
  job.mutable_restart()->set_limit(1);
  job.mutable_restart()->set_backoff_seconds(-1);
  EXPECT_THAT(Refusal(job), HasSubstr("restart.backoff_seconds"));
}

}  // namespace
}  // namespace penstock
