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
