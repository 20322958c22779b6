// Snapshots that are kept in memory, and restored from there.

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "checkpoint/shards/corruption.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/checkpoint/part_record.h"
#include "stage_server/checkpoint/state_memory.h"
#include "stage_server/service/executor.h"
#include "stage_server/service/fake_engine.h"
#include "stage_server/service/test_event_recorder.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const EpochKey kJob{"job-1", 2};

class ExecutorMemoryTest : public ::testing::Test {
 protected:
  ExecutorMemoryTest()
      : executor_(FakeParts(world_, &memory_), SystemClock(),
                  [this](Event event) { events_.Post(std::move(event)); }) {
    memory_.SetAddress("own:1");
  }

  LoadLayers LoadOf(int64_t steps) {
    LoadLayers load = {kJob, RankId(1), Plan()};
    load.plan.mutable_job()->set_steps(steps);
    load.plan.set_shape_hash("hash");
    load.checkpoints.emplace().set_root("root");
    return load;
  }
  void Start(LoadLayers load, const std::optional<MemoryTier>& tier,
             int64_t snapshot_step = 0) {
    executor_.Do(std::move(load));
    SetMarks marks = {kJob, snapshot_step};
    marks.memory = tier;
    executor_.Do(std::move(marks));
    executor_.Do(ConnectPeers{kJob, {}, "secret"});
    executor_.Do(RunSteps{kJob});
  }
  static MemoryTier Every(int64_t steps, int64_t from = 0) {
    MemoryTier tier;
    tier.set_every_steps(steps);
    tier.set_from_step(from);
    tier.set_peer_address("peer:1");
    tier.set_token("token");
    return tier;
  }
  void Leave() {
    executor_.Do(LeaveEpoch{kJob, absl::CancelledError("left by a test")});
    ASSERT_TRUE(events_.Next<Left>().has_value());
  }
  std::vector<int64_t> OwnSteps() const {
    const MemoryReport report = memory_.Report();
    if (report.held_size() == 0) return {};
    return {report.held(0).steps().begin(), report.held(0).steps().end()};
  }
  CheckpointId Id(int64_t step) const {
    CheckpointId id;
    id.set_job_id(kJob.job_id);
    id.set_step(step);
    id.set_epoch(kJob.job_epoch);
    return id;
  }
  bool PeerHas(int64_t step) {
    return ReadPartRecord(*MakeMemoryShardStore(world_.peers_memory), Id(step))
        .ok();
  }

  FakeWorld world_;
  StateMemory memory_{[](MemoryReport) {}};
  EventRecorder events_;
  Executor executor_;
};

TEST_F(ExecutorMemoryTest, MultiplesAfterTheFirstStepAreKeptHereAndThere) {
  Start(LoadOf(7), Every(2, /*from=*/2));
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  Leave();
  EXPECT_THAT(OwnSteps(), ElementsAre(6, 4));
  EXPECT_EQ(memory_.Report().held(0).rank(), 1);
  EXPECT_EQ(memory_.Report().held(0).epoch(), 2);
  EXPECT_TRUE(PeerHas(4));
  EXPECT_FALSE(PeerHas(2));
  EXPECT_GE(memory_.Report().blocked_nanos(), 5);
}

TEST_F(ExecutorMemoryTest, WithoutATierNothingIsKept) {
  Start(LoadOf(3), std::nullopt);
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  EXPECT_THAT(OwnSteps(), ElementsAre());
}

TEST_F(ExecutorMemoryTest, TheTokenIsGoodBeforeTheLayersAreLoaded) {
  SetMarks marks = {kJob};
  marks.memory = Every(1);
  executor_.Do(std::move(marks));
  EXPECT_EQ(memory_.CheckToken("token", "job-1"), absl::OkStatus());
}

TEST_F(ExecutorMemoryTest, TheNextSnapshotWaitsUntilThePeerHasTheLast) {
  world_.peers_memory->Stall(true);
  Start(LoadOf(5), Every(1));
  world_.peers_memory->AwaitAppends(1);
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 1);
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 2);
  // It stands still at step 2 now: step 1 is not with the peer.
  EXPECT_THAT(OwnSteps(), ElementsAre(1));
  world_.peers_memory->Stall(false);
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  Leave();
  EXPECT_THAT(OwnSteps(), ElementsAre(5, 4, 3));
}

TEST_F(ExecutorMemoryTest, LeavingEndsTheWaitForThePeer) {
  world_.peers_memory->Stall(true);
  Start(LoadOf(5), Every(1));
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 1);
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 2);
  world_.peers_memory->AwaitAppends(1);
  Leave();
  EXPECT_THAT(OwnSteps(), ElementsAre(1));
}

TEST_F(ExecutorMemoryTest, ACheckpointsStepIsStillTakenInBetween) {
  Start(LoadOf(5), Every(1), /*snapshot_step=*/3);
  EXPECT_EQ(events_.Next<SnapshotTaken>()->report.step(), 3);
  const auto stored = events_.Next<ShardsStored>();
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->report.error(), "");
  EXPECT_EQ(stored->report.checkpoint().step(), 3);
  Leave();
}

TEST_F(ExecutorMemoryTest, WhereNothingDrainsTheSnapshotIsAskedForAhead) {
  LoadLayers load = LoadOf(4);
  load.plan.mutable_schedule()->set_policy(wire::WEIGHT_POLICY_STASH);
  Start(std::move(load), Every(2));
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  Leave();
  EXPECT_THAT(OwnSteps(), ElementsAre(4, 2));
}

TEST_F(ExecutorMemoryTest, ASnapshotThatFailsIsAWarning) {
  world_.Set(&FakeWorld::snapshot_status,
             absl::ResourceExhaustedError("no memory"));
  Start(LoadOf(2), Every(1));
  const auto warned = events_.Next<Warned>();
  ASSERT_TRUE(warned.has_value());
  EXPECT_THAT(warned->text, HasSubstr("no memory"));
  EXPECT_TRUE(events_.Next<RunDone>().has_value());
}

TEST_F(ExecutorMemoryTest, ATierThatIsTakenBackKeepsNothingMore) {
  world_.AllowSteps(2);
  Start(LoadOf(4), Every(1));
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 1);
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 2);
  executor_.Do(SetMarks{kJob});
  world_.AllowSteps(100);
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  const std::vector<int64_t> steps = OwnSteps();
  EXPECT_TRUE(steps.empty() || steps[0] <= 3) << steps[0];
}

TEST_F(ExecutorMemoryTest, StepsCountOnFromAStateInMemory) {
  Start(LoadOf(3), Every(1));
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  Leave();
  LoadLayers load = LoadOf(5);
  load.epoch.job_epoch = 3;
  // A store is not needed.
  load.checkpoints.reset();
  RestorePoint& restore = load.restore.emplace();
  *restore.mutable_checkpoint() = Id(3);
  MemoryRestore::Part& part = *restore.mutable_memory()->add_parts();
  part.set_rank(1);
  part.set_address("own:1");
  executor_.Do(load);
  ASSERT_TRUE(events_.Next<Loaded>().has_value());
  executor_.Do(ConnectPeers{load.epoch, {}, "secret"});
  executor_.Do(RunSteps{load.epoch});
  EXPECT_EQ(events_.Next<StepDone>()->report.step(), 4);
}

TEST_F(ExecutorMemoryTest, APartThatIsGoneFailsTheLoadAsLost) {
  LoadLayers load = LoadOf(5);
  RestorePoint& restore = load.restore.emplace();
  *restore.mutable_checkpoint() = Id(3);
  restore.mutable_memory()->add_parts()->set_address("peer:1");
  executor_.Do(std::move(load));
  const auto failed = events_.Next<Failed>();
  ASSERT_TRUE(failed.has_value());
  // Its own copy of the status is gone then; TSan does not see its counting.
  Leave();
  EXPECT_THAT(std::string(failed->why.message()), StartsWith(kLostMemory));
}

TEST_F(ExecutorMemoryTest, AnotherJobForgetsWhatThisOneHeld) {
  Start(LoadOf(2), Every(1));
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  Leave();
  EXPECT_THAT(OwnSteps(), ElementsAre(2, 1));
  LoadLayers load = LoadOf(2);
  load.epoch = {"job-2", 1};
  executor_.Do(std::move(load));
  ASSERT_TRUE(events_.Next<Loaded>().has_value());
  EXPECT_THAT(OwnSteps(), ElementsAre());
}

TEST_F(ExecutorMemoryTest, ForgettingIsAtOnce) {
  Start(LoadOf(2), Every(1));
  ASSERT_TRUE(events_.Next<RunDone>().has_value());
  Leave();
  executor_.Do(ForgetMemory{});
  EXPECT_THAT(OwnSteps(), ElementsAre());
}

}  // namespace
}  // namespace penstock
