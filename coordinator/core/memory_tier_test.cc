// State in stage servers' memory: who keeps it, and what starts from it.
#include "checkpoint/shards/corruption.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/memory_copies.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kLong = 1000;

// Job "a" of two stages on s1 and s2, hosts of their own; s3 is a spare.
class MemoryTierTest : public ::testing::Test {
 protected:
  MemoryTierTest() {
    cluster_.restart_limit = 3;
    cluster_.Join("s3");
    for (const char* id : {"s1", "s2", "s3"}) Equip(id, id);
    CheckpointSpec spec = EverySteps(5);
    spec.set_memory_every_steps(1);
    cluster_.Train("a", spec, kLong).IgnoreError();
    cluster_.Run("a");
  }

  // With a memory store, on a host.
  void Equip(const std::string& id, const std::string& host) {
    cluster_.state.servers.at(id).memory_address = "memory-" + id;
    cluster_.state.servers.at(id).host_identity = host;
  }
  struct Part {
    int64_t epoch = 1;
    int rank = 0;
    std::vector<int64_t> steps;
  };
  void Hold(const std::string& id, const std::vector<Part>& parts,
            int64_t blocked_nanos = 0) {
    StageMessage message;
    for (const Part& part : parts) {
      MemoryReport::Held& held = *message.mutable_memory()->add_held();
      held.set_job_id("a");
      held.set_epoch(part.epoch);
      held.set_rank(part.rank);
      held.mutable_steps()->Add(part.steps.begin(), part.steps.end());
    }
    message.mutable_memory()->set_blocked_nanos(blocked_nanos);
    cluster_.Say(id, message).IgnoreError();
  }
  // Each server has its own part and the other's.
  void HoldBoth(std::vector<int64_t> steps) {
    Hold("s1", {{1, 0, steps}, {1, 1, steps}});
    Hold("s2", {{1, 1, steps}, {1, 0, steps}});
  }
  void KillS2() {
    cluster_.Break("s2");
    StageMessage message;
    message.mutable_status()->set_job_id("a");
    message.mutable_status()->set_phase(StageStatus::FAULTED);
    message.mutable_status()->set_suspect_rank(1);
    cluster_.Say("s1", message).IgnoreError();
    cluster_.Report("s1", "a", StageStatus::IDLE).IgnoreError();
  }
  DesiredState Desired(const std::string& id) {
    return DesiredOf(cluster_.state, id).desired();
  }
  JobInfo& Info() { return cluster_.job("a"); }
  const RestartReport& Last() { return *Info().restarts().rbegin(); }

  TrainingCluster cluster_;
};

TEST_F(MemoryTierTest, EachRankHasAPeerOnAnotherHost) {
  ASSERT_EQ(Info().state(), JOB_STATE_RUNNING);
  EXPECT_EQ(Desired("s1").memory().peer_address(), "memory-s2");
  EXPECT_EQ(Desired("s2").memory().peer_address(), "memory-s1");
  EXPECT_EQ(Desired("s1").memory().every_steps(), 1);
  EXPECT_EQ(Desired("s1").memory().token(), Desired("s2").memory().token());
}

TEST_F(MemoryTierTest, OnOneHostThereIsNoPeerAndPeopleHearIt) {
  TrainingCluster alone;
  CheckpointSpec spec = EverySteps(5);
  spec.set_memory_every_steps(1);
  ASSERT_TRUE(alone.Train("a", spec, kLong).ok());
  EXPECT_THAT(alone.EventKinds(), Contains("JOB_MEMORY_ALONE"));
  EXPECT_EQ(DesiredOf(alone.state, "s1").desired().memory().peer_address(), "");
}

TEST_F(MemoryTierTest, AJobThatDoesNotAskForItHasNone) {
  TrainingCluster without;
  ASSERT_TRUE(without.Train("a", EverySteps(5), kLong).ok());
  EXPECT_FALSE(DesiredOf(without.state, "s1").desired().has_memory());
}

TEST_F(MemoryTierTest, ALostServerCostsNoStepThatIsInMemory) {
  cluster_.MakeSteps("a", 1, 8);
  HoldBoth({7, 8});
  KillS2();
  EXPECT_EQ(Info().state(), JOB_STATE_LOADING);
  EXPECT_TRUE(Info().started_from().in_memory());
  EXPECT_EQ(Last().from_step(), 8);
  EXPECT_EQ(Last().steps_lost(), 0);
  const RestorePoint restore = Desired("s3").restore();
  EXPECT_EQ(restore.checkpoint().step(), 8);
  EXPECT_EQ(restore.checkpoint().epoch(), 1);
  EXPECT_FALSE(restore.other_shape());
  ASSERT_THAT(restore.memory().parts(), SizeIs(2));
  EXPECT_EQ(restore.memory().parts(1).address(), "memory-s1");
  EXPECT_EQ(Desired("s3").memory().from_step(), 8);
}

TEST_F(MemoryTierTest, TheNewestStepThatAllPartsAreThereOfIsTaken) {
  cluster_.MakeSteps("a", 1, 8);
  Hold("s1", {{1, 0, {7, 8}}, {1, 1, {6, 7}}});
  Hold("s2", {{1, 1, {7, 8}}, {1, 0, {6, 7}}});
  KillS2();
  EXPECT_EQ(Last().from_step(), 7);
}

TEST_F(MemoryTierTest, ANewerCheckpointIsTakenInstead) {
  cluster_.MakeSteps("a", 1, 5);
  HoldBoth({3, 4});
  cluster_.MakeCheckpoint("a", 5);
  KillS2();
  EXPECT_FALSE(Info().started_from().in_memory());
  EXPECT_EQ(Last().from_step(), 5);
}

TEST_F(MemoryTierTest, APartThatOnlyTheLostServerHadIsNoUse) {
  cluster_.MakeSteps("a", 1, 4);
  Hold("s1", {{1, 0, {4}}});
  Hold("s2", {{1, 1, {4}}});
  KillS2();
  EXPECT_FALSE(Info().has_started_from());
}

TEST_F(MemoryTierTest, ARestartedProcessHasForgotten) {
  cluster_.MakeSteps("a", 1, 4);
  Hold("s2", {{1, 1, {4}}, {1, 0, {4}}});
  cluster_.Break("s2");
  cluster_.Join("s2", 2);
  EXPECT_THAT(cluster_.state.servers.at("s2").held, IsEmpty());
}

TEST_F(MemoryTierTest, WhatIsNotThereWhenItIsNeededIsNotTriedAgain) {
  cluster_.MakeSteps("a", 1, 8);
  HoldBoth({7, 8});
  KillS2();
  ASSERT_EQ(Last().from_step(), 8);
  cluster_
      .Report("s3", "a", StageStatus::FAULTED,
              std::string(kLostMemory) + "part 1 of step 8 is gone")
      .IgnoreError();
  EXPECT_EQ(Info().state(), JOB_STATE_RECOVERING);
  cluster_.Report("s1", "a", StageStatus::IDLE).IgnoreError();
  cluster_.Report("s3", "a", StageStatus::IDLE).IgnoreError();
  cluster_.Advance(absl::Seconds(1));
  cluster_.Tick().IgnoreError();
  EXPECT_EQ(Info().state(), JOB_STATE_LOADING);
  EXPECT_EQ(Last().from_step(), 7);
}

TEST_F(MemoryTierTest, ACoordinatorThatHasJustStartedAsksFirst) {
  cluster_.MakeSteps("a", 1, 8);
  HoldBoth({7, 8});
  cluster_.Break("s2");
  StageMessage message;
  message.mutable_status()->set_job_id("a");
  message.mutable_status()->set_phase(StageStatus::FAULTED);
  message.mutable_status()->set_suspect_rank(1);
  cluster_.Say("s1", message).IgnoreError();
  cluster_.RestartCoordinator();
  ASSERT_EQ(Info().state(), JOB_STATE_RECOVERING);
  ASSERT_TRUE(cluster_.Register("s1", 1, "a", 1).ok());
  ASSERT_TRUE(cluster_.Open("s1").ok());
  Equip("s1", "s1");
  cluster_.Report("s1", "a", StageStatus::IDLE).IgnoreError();
  EXPECT_EQ(Info().state(), JOB_STATE_RECOVERING);
  Hold("s1", {{1, 0, {8}}, {1, 1, {8}}});
  cluster_.Advance(cluster_.state.timing.suspect_after);
  cluster_.Heartbeat("s1").IgnoreError();
  cluster_.Tick().IgnoreError();
  EXPECT_EQ(Info().state(), JOB_STATE_QUEUED);
  EXPECT_EQ(Last().from_step(), 8);
}

TEST_F(MemoryTierTest, WhatCostsTooMuchIsDoneHalfAsOften) {
  for (int64_t step = 1; step <= 5; ++step) {
    cluster_.MakeSteps("a", step, step);
    for (const int rank : {0, 1}) {
      // A step takes a second.
      Hold(rank == 0 ? "s1" : "s2", {{1, rank, {step}}}, 20'000'000);
    }
  }
  EXPECT_THAT(cluster_.EventKinds(), Contains("JOB_MEMORY_STRETCHED"));
  EXPECT_EQ(Desired("s1").memory().every_steps(), 2);
  EXPECT_GT(Desired("s1").memory().from_step(), 5);
  EXPECT_EQ(Desired("s1").goal(), DesiredState::RUN);
}

TEST_F(MemoryTierTest, WhatCostsLittleStays) {
  for (int64_t step = 1; step <= 20; ++step) {
    cluster_.MakeSteps("a", step, step);
    for (const int rank : {0, 1}) {
      Hold(rank == 0 ? "s1" : "s2", {{1, rank, {step}}}, 9'000'000);
    }
  }
  EXPECT_EQ(Desired("s1").memory().every_steps(), 1);
}

TEST_F(MemoryTierTest, PeopleSeeTheNewestStepAndHowManyCopies) {
  cluster_.MakeSteps("a", 1, 8);
  HoldBoth({7, 8});
  const MemoryProgress progress =
      DescribeJob(cluster_.state, cluster_.state.jobs.at("a"), false).memory();
  EXPECT_EQ(progress.newest_step(), 8);
  EXPECT_EQ(progress.copies(), 2);
}

}  // namespace
}  // namespace penstock
