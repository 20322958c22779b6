#include "stage_server/service/executor.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/service/fake_engine.h"
#include "stage_server/service/test_event_recorder.h"
#include "stage_server/transport/transport_errors.h"

namespace penstock {
namespace {

const EpochKey kJob{"job-1", 2};

class ExecutorTest : public ::testing::Test {
 protected:
  ExecutorTest()
      : executor_(FakeParts(world_), SystemClock(),
                  [this](Event event) { events_.Post(std::move(event)); }) {}

  Plan PlanOf(int64_t steps) {
    Plan plan;
    plan.mutable_job()->set_steps(steps);
    return plan;
  }
  void Load(int64_t steps = 3, const EpochKey& epoch = kJob) {
    executor_.Do(LoadLayers{epoch, RankId(1), PlanOf(steps)});
  }
  // With a store for checkpoints, from a step on.
  void LoadWithStore(int64_t steps, int64_t from = 0,
                     const std::string& root = "root") {
    LoadLayers load = {kJob, RankId(1), PlanOf(steps)};
    load.plan.set_shape_hash("hash");
    load.checkpoints.emplace().set_root(root);
    if (from > 0) load.restore.emplace().mutable_state()->set_step(from);
    executor_.Do(std::move(load));
  }
  void Connect() {
    DataAddress zero, one;
    zero.set_host_identity("a");
    one.set_host_identity("b");
    (*one.mutable_addresses())["tcp"] = "bytes";
    executor_.Do(ConnectPeers{kJob, {zero, one}, "secret"});
  }
  void Leave(const EpochKey& epoch = kJob) {
    executor_.Do(
        LeaveEpoch{epoch, absl::CancelledError("cancelled by a test")});
  }
  int EnginesAlive() {
    MutexLock lock(&world_.mutex);
    return world_.engines_alive;
  }

  FakeWorld world_;
  EventRecorder events_;
  Executor executor_;
};

TEST_F(ExecutorTest, TellsTheDataAddressWhenTheLayersAreLoaded) {
  Load();
  const auto loaded = events_.Next<Loaded>();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->epoch, kJob);
  EXPECT_EQ(loaded->address.host_identity(), "host-x");
  EXPECT_EQ(loaded->address.addresses().at("shm"), "here");
}

TEST_F(ExecutorTest, ConnectsWithTheEpochItsSecretAndEveryPeer) {
  Load();
  Connect();
  ASSERT_TRUE(events_.Next<Connected>().has_value());
  MutexLock lock(&world_.mutex);
  EXPECT_EQ(world_.connected.job_epoch, 2);
  EXPECT_EQ(world_.connected.rank, RankId(1));
  EXPECT_EQ(world_.connected.epoch_secret, "secret");
  ASSERT_EQ(world_.connected.peers.size(), 2u);
  EXPECT_EQ(world_.connected.peers[1].addresses.at("tcp"), "bytes");
  EXPECT_EQ(world_.connected.channels.size(), 1u);
}

TEST_F(ExecutorTest, RunsEveryStepAndTellsTheDigestsAtTheEnd) {
  Load(3);
  Connect();
  executor_.Do(RunSteps{kJob});
  for (int64_t step = 1; step <= 3; ++step) {
    const auto done = events_.Next<StepDone>();
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->report.step(), step);
    ASSERT_TRUE(done->trace.has_value());
    EXPECT_EQ(done->trace->step(), step);
    EXPECT_TRUE(done->report.has_loss());
    EXPECT_FALSE(done->report.has_gradient_norm());
  }
  const auto end = events_.Next<RunDone>();
  ASSERT_TRUE(end.has_value());
  ASSERT_EQ(end->layers.size(), 1u);
  EXPECT_EQ(end->layers[0].layer(), 3);
  EXPECT_EQ(end->layers[0].sha256(), std::string(32, 'd'));
}

TEST_F(ExecutorTest, TellsWhatWasUsedWithTheFirstStepAndTheLast) {
  Load(3);
  Connect();
  executor_.Do(RunSteps{kJob});
  for (int step = 1; step <= 3; ++step) {
    const auto done = events_.Next<StepDone>();
    ASSERT_TRUE(done.has_value());
    ASSERT_EQ(done->use.has_value(), step != 2) << step;
    if (!done->use.has_value()) continue;
    EXPECT_EQ(done->use->memory().peak_bytes(), 1000);
    EXPECT_EQ(done->use->peak_flops_per_second(), 5e9);
    ASSERT_EQ(done->use->edges_size(), 1);
    const EdgeUse& edge = done->use->edges(0);
    EXPECT_EQ(edge.edge(), 1);
    EXPECT_TRUE(edge.backward());
    EXPECT_EQ(edge.messages(), step);
    EXPECT_EQ(edge.bytes(), 10 * step);
    EXPECT_EQ(edge.tensor_bytes(), 20 * step);
  }
}

TEST_F(ExecutorTest, KeepsTheEngineUntilTheEpochIsLeft) {
  Load(1);
  Connect();
  executor_.Do(RunSteps{kJob});
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  EXPECT_EQ(EnginesAlive(), 1);
  Leave();
  ASSERT_TRUE(events_.Next<Left>().has_value());
  EXPECT_EQ(EnginesAlive(), 0);
}

TEST_F(ExecutorTest, LeavingInterruptsAStepThatWaits) {
  world_.AllowSteps(1);
  Load(100);
  Connect();
  executor_.Do(RunSteps{kJob});
  ASSERT_TRUE(events_.Next<StepDone>().has_value());
  Leave();
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->why.message(), "cancelled by a test");
  EXPECT_FALSE(failed->missing.has_value());
  const auto left = events_.Next<Left>();
  ASSERT_TRUE(left.has_value());
  ASSERT_TRUE(left->missing.has_value());
  EXPECT_EQ(left->missing->step(), 2);
  EXPECT_EQ(EnginesAlive(), 0);
}

TEST_F(ExecutorTest, AStepThatWaitedTooLongSaysWhatItWasAt) {
  world_.Set(&FakeWorld::step_status, absl::DeadlineExceededError("receive"));
  Load(5);
  Connect();
  executor_.Do(RunSteps{kJob});
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  ASSERT_TRUE(failed->missing.has_value());
  EXPECT_EQ(failed->missing->step(), 1);
}

TEST_F(ExecutorTest, LeavingInterruptsAConnectThatWaits) {
  {
    MutexLock lock(&world_.mutex);
    world_.connect_hangs = true;
  }
  Load();
  Connect();
  {
    MutexLock lock(&world_.mutex);
    while (!world_.connecting) world_.changed.Wait(&world_.mutex);
  }
  Leave();
  ASSERT_TRUE(events_.Next<Left>().has_value());
}

TEST_F(ExecutorTest, ServesAnotherJobAfterOneThatWasCancelled) {
  world_.AllowSteps(0);
  Load(5);
  Connect();
  executor_.Do(RunSteps{kJob});
  Leave();
  ASSERT_TRUE(events_.Next<Left>().has_value());
  world_.AllowSteps(10);
  const EpochKey next{"job-2", 1};
  Load(2, next);
  executor_.Do(RunSteps{next});
  const auto done = events_.Next<RunDone>();
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->epoch, next);
}

TEST_F(ExecutorTest, AnErrorOfTheEngineIsToldAndEndsTheEpoch) {
  world_.Set(&FakeWorld::step_status, absl::InternalError("boom"));
  Load(5);
  Connect();
  executor_.Do(RunSteps{kJob});
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->epoch, kJob);
  EXPECT_EQ(failed->why, absl::InternalError("boom"));
  EXPECT_FALSE(failed->missing.has_value());
  EXPECT_EQ(EnginesAlive(), 0);
}

TEST_F(ExecutorTest, TheLossOfAPeerIsBlamedOnItsRank) {
  world_.Set(&FakeWorld::step_status, PeerGone(RankId(4), "it has ended"));
  Load(5);
  Connect();
  executor_.Do(RunSteps{kJob});
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->suspect, RankId(4));
}

TEST_F(ExecutorTest, WhatFollowsAFailureInItsEpochIsSkipped) {
  world_.Set(&FakeWorld::load_status, absl::NotFoundError("tokens.bin"));
  Load();
  Connect();
  executor_.Do(RunSteps{kJob});
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->why, absl::NotFoundError("tokens.bin"));
  Leave();
  ASSERT_TRUE(events_.Next<Left>().has_value());
  EXPECT_TRUE(events_.empty());
}

TEST_F(ExecutorTest, AnEndpointThatCannotBeMadeIsAFailure) {
  world_.Set(&FakeWorld::endpoint_status,
             absl::UnavailableError("no interface eth9"));
  Load();
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->why.message(), "no interface eth9");
}

TEST_F(ExecutorTest, AConnectThatFailsIsAFailure) {
  world_.Set(&FakeWorld::connect_status, absl::PermissionDeniedError("secret"));
  Load();
  Connect();
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->why.message(), "secret");
}

TEST(ExecutorLifetimeTest, DestroyingItInterruptsAStepThatWaits) {
  FakeWorld world;
  world.AllowSteps(0);
  EventRecorder events;
  {
    Executor executor(FakeParts(world), SystemClock(), [&events](Event event) {
      events.Post(std::move(event));
    });
    Plan plan;
    plan.mutable_job()->set_steps(1);
    executor.Do(LoadLayers{kJob, RankId(0), plan});
    executor.Do(RunSteps{kJob});
    ASSERT_TRUE(events.Next<Loaded>().has_value());
  }
  MutexLock lock(&world.mutex);
  EXPECT_EQ(world.engines_alive, 0);
}

// ---- Checkpoints ----------------------------------------------------------

TEST_F(ExecutorTest, TakesTheSnapshotThatIsMarkedAndStoresIt) {
  LoadWithStore(5);
  Connect();
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/2});
  executor_.Do(RunSteps{kJob});
  const auto taken = events_.Next<SnapshotTaken>();
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->report.step(), 2);
  EXPECT_FALSE(taken->report.missed());
  EXPECT_EQ(taken->report.blocked_nanos(), 5);
  EXPECT_EQ(taken->report.size_bytes(), 8);
  const auto stored = events_.Next<ShardsStored>();
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->epoch, kJob);
  EXPECT_EQ(stored->report.error(), "");
  EXPECT_EQ(stored->report.checkpoint().job_id(), "job-1");
  EXPECT_EQ(stored->report.checkpoint().step(), 2);
  EXPECT_EQ(stored->report.checkpoint().epoch(), 2);
  EXPECT_EQ(stored->report.plan_hash(), "hash");
  ASSERT_EQ(stored->report.files_size(), 1);
  EXPECT_EQ(stored->report.files(0).name(), "l0003-head.w.safetensors");
}

TEST_F(ExecutorTest, AMarkThatComesAfterTheLastStepIsHeededThen) {
  LoadWithStore(2);
  Connect();
  executor_.Do(RunSteps{kJob});
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/2});
  const auto stored = events_.Next<ShardsStored>();
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->report.checkpoint().step(), 2);
}

TEST_F(ExecutorTest, AMarkThatComesTooLateIsReportedAsMissed) {
  LoadWithStore(3);
  Connect();
  executor_.Do(RunSteps{kJob});
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/2});
  const auto taken = events_.Next<SnapshotTaken>();
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->report.step(), 2);
  EXPECT_TRUE(taken->report.missed());
}

TEST_F(ExecutorTest, AMarkThatIsTakenBackIsForgotten) {
  LoadWithStore(3);
  Connect();
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/2});
  executor_.Do(SetMarks{kJob});
  executor_.Do(RunSteps{kJob});
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  MutexLock lock(&world_.shards->mutex);
  EXPECT_TRUE(world_.shards->files.empty());
}

TEST_F(ExecutorTest, MarksOfAnotherEpochDoNotCount) {
  LoadWithStore(3);
  Connect();
  executor_.Do(SetMarks{{"job-1", 1}, /*snapshot_step=*/2, /*stop_step=*/1});
  executor_.Do(RunSteps{kJob});
  for (int64_t step = 1; step <= 3; ++step) {
    ASSERT_TRUE(events_.Next<StepDone>().has_value());
  }
  EXPECT_TRUE(events_.Next<RunDone>().has_value());
}

TEST_F(ExecutorTest, ASnapshotThatFailsEndsNothing) {
  world_.Set(&FakeWorld::snapshot_status,
             absl::ResourceExhaustedError("no memory"));
  LoadWithStore(3);
  Connect();
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/1});
  executor_.Do(RunSteps{kJob});
  const auto stored = events_.Next<ShardsStored>();
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->report.error(), "no memory");
  EXPECT_EQ(stored->report.checkpoint().step(), 1);
  EXPECT_TRUE(events_.Next<RunDone>().has_value());
}

TEST_F(ExecutorTest, WithoutAStoreTheSnapshotIsReportedAsFailed) {
  Load(3);
  Connect();
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/1});
  executor_.Do(RunSteps{kJob});
  const auto stored = events_.Next<ShardsStored>();
  ASSERT_TRUE(stored.has_value());
  EXPECT_THAT(stored->report.error(), ::testing::HasSubstr("no store"));
  EXPECT_TRUE(events_.Next<RunDone>().has_value());
}

TEST_F(ExecutorTest, StepsCountOnFromARestoredOne) {
  LoadWithStore(5, /*from=*/3);
  Connect();
  executor_.Do(RunSteps{kJob});
  for (int64_t step = 4; step <= 5; ++step) {
    const auto done = events_.Next<StepDone>();
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->report.step(), step);
    // The first one of the epoch and the last.
    EXPECT_TRUE(done->use.has_value());
  }
  EXPECT_TRUE(events_.Next<RunDone>().has_value());
}

TEST_F(ExecutorTest, AStoreThatIsNotThereFailsTheLoad) {
  LoadWithStore(5, /*from=*/3, "elsewhere");
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->why.message(), "no such root");
}

TEST_F(ExecutorTest, ACheckpointWithoutAStoreFailsTheLoad) {
  LoadLayers load = {kJob, RankId(1), PlanOf(5)};
  load.restore.emplace().mutable_state()->set_step(3);
  executor_.Do(std::move(load));
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_THAT(std::string(failed->why.message()),
              ::testing::HasSubstr("no store is named"));
}

TEST_F(ExecutorTest, TheRunEndsAfterTheStepThatIsMarked) {
  LoadWithStore(5);
  Connect();
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/2, /*stop_step=*/2});
  executor_.Do(RunSteps{kJob});
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 1);
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 2);
  EXPECT_EQ(events_.Next<SnapshotTaken>()->report.step(), 2);
  EXPECT_TRUE(events_.Next<RunDone>().has_value());
}

TEST_F(ExecutorTest, AnEndThatIsBehindIsAFault) {
  world_.AllowSteps(3);
  LoadWithStore(5);
  Connect();
  executor_.Do(RunSteps{kJob});
  for (int step = 1; step <= 3; ++step) {
    ASSERT_TRUE(events_.Next<StepDone>().has_value());
  }
  executor_.Do(SetMarks{kJob, 0, /*stop_step=*/2});
  world_.AllowSteps(100);
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_THAT(std::string(failed->why.message()),
              ::testing::HasSubstr("was to end after step 2"));
}

TEST_F(ExecutorTest, LeavingGivesUpWhatIsBeingStored) {
  world_.shards->Stall(true);
  LoadWithStore(1);
  Connect();
  executor_.Do(SetMarks{kJob, /*snapshot_step=*/1});
  executor_.Do(RunSteps{kJob});
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  world_.shards->AwaitAppends(1);
  Leave();
  EXPECT_TRUE(events_.Next<Left>().has_value());
  EXPECT_TRUE(events_.empty());
}

}  // namespace
}  // namespace penstock
