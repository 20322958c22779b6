#include "stage_server/checkpoint/snapshot_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "stage_server/checkpoint/memory_shard_store.h"
#include "stage_server/checkpoint/part_record.h"
#include "stage_server/checkpoint/test_snapshot.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A clock that stands still until it is set.
class SetClock : public Clock {
 public:
  absl::Time Now() const override {
    MutexLock lock(&mutex_);
    return now_;
  }
  void Add(absl::Duration duration) {
    MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::UnixEpoch();
};

class SnapshotKeeperTest : public ::testing::Test {
 protected:
  SnapshotKeeperTest() { MakeKeeper(); }

  void MakeKeeper() {
    keeper_ = std::make_unique<SnapshotKeeper>(
        memory_, /*rank=*/3,
        [this](const std::string& address, const std::string& token, int rank) {
          MutexLock lock(&mutex_);
          opened_.push_back(address + " " + token + " " + std::to_string(rank));
          return MakeMemoryShardStore(peer_);
        },
        [this](std::string text) {
          MutexLock lock(&mutex_);
          warnings_.push_back(std::move(text));
        },
        clock_);
  }
  void Keep(int64_t step) {
    ShardReport part;
    *part.mutable_checkpoint() = TestCheckpoint(step);
    part.set_plan_hash("hash");
    keeper_->Keep(std::move(part), TestSnapshot(), /*blocked_nanos=*/9);
  }
  void KeepAndWait(int64_t step) {
    Keep(step);
    EXPECT_EQ(keeper_->AwaitFree(), absl::OkStatus());
  }
  std::vector<int64_t> OwnSteps() const {
    const MemoryReport report = memory_.Report();
    if (report.held_size() == 0) return {};
    return {report.held(0).steps().begin(), report.held(0).steps().end()};
  }
  bool PeerHas(int64_t step) {
    return ReadPartRecord(*MakeMemoryShardStore(peer_), TestCheckpoint(step))
        .ok();
  }
  std::vector<std::string> warnings() {
    MutexLock lock(&mutex_);
    return warnings_;
  }
  std::vector<std::string> opened() {
    MutexLock lock(&mutex_);
    return opened_;
  }
  void FailPeer(absl::Status status) {
    MutexLock lock(&peer_->mutex);
    peer_->append_status = std::move(status);
  }

  const std::shared_ptr<ShardMemory> peer_ = std::make_shared<ShardMemory>();
  SetClock clock_;
  StateMemory memory_{[](MemoryReport) {}};
  Mutex mutex_;
  std::vector<std::string> warnings_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> opened_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<SnapshotKeeper> keeper_;
};

TEST_F(SnapshotKeeperTest, ASnapshotIsKeptHereAndAtThePeer) {
  keeper_->SetPeer("peer:1", "secret");
  KeepAndWait(4);
  EXPECT_THAT(OwnSteps(), ElementsAre(4));
  EXPECT_EQ(memory_.Report().held(0).rank(), 3);
  EXPECT_EQ(memory_.Report().blocked_nanos(), 9);
  EXPECT_GT(memory_.Report().replicate_nanos(), 0);
  const auto own = ReadPartRecord(*memory_.StoreOf(3), TestCheckpoint(4));
  const auto copy =
      ReadPartRecord(*MakeMemoryShardStore(peer_), TestCheckpoint(4));
  ASSERT_TRUE(own.ok() && copy.ok()) << own.status() << copy.status();
  EXPECT_EQ(own->files_size(), 4);
  EXPECT_EQ(own->plan_hash(), "hash");
  EXPECT_EQ(own->state().stages(0).updates(), 4);
  EXPECT_EQ(own->SerializeAsString(), copy->SerializeAsString());
  EXPECT_THAT(opened(), ElementsAre("peer:1 secret 3"));
}

TEST_F(SnapshotKeeperTest, WithoutAPeerThereAreTheOwnParts) {
  KeepAndWait(4);
  KeepAndWait(5);
  EXPECT_THAT(OwnSteps(), ElementsAre(5, 4));
  EXPECT_EQ(memory_.Report().replicate_nanos(), 0);
  EXPECT_THAT(opened(), ElementsAre());
}

TEST_F(SnapshotKeeperTest, TheOwnPartIsThereWhileThePeersStillGoes) {
  peer_->Stall(true);
  keeper_->SetPeer("peer:1", "secret");
  Keep(4);
  peer_->AwaitAppends(1);
  EXPECT_THAT(OwnSteps(), ElementsAre(4));
  EXPECT_FALSE(PeerHas(4));
  peer_->Stall(false);
  EXPECT_EQ(keeper_->AwaitFree(), absl::OkStatus());
  EXPECT_TRUE(PeerHas(4));
}

TEST_F(SnapshotKeeperTest, ACancellationEndsTheWaitAndThePeersPart) {
  peer_->Stall(true);
  keeper_->SetPeer("peer:1", "secret");
  Keep(4);
  peer_->AwaitAppends(1);
  const absl::Status why = absl::CancelledError("left");
  keeper_->Cancel(why);
  EXPECT_EQ(keeper_->AwaitFree(), why);
  keeper_.reset();
  EXPECT_THAT(OwnSteps(), ElementsAre(4));
  EXPECT_FALSE(PeerHas(4));
  EXPECT_THAT(warnings(), ElementsAre());
}

TEST_F(SnapshotKeeperTest, ItsEndFinishesTheOwnPart) {
  Keep(4);
  keeper_.reset();
  EXPECT_THAT(OwnSteps(), ElementsAre(4));
}

TEST_F(SnapshotKeeperTest, APeerThatFailsIsTriedAgainLaterAndLater) {
  FailPeer(absl::UnavailableError("no route"));
  keeper_->SetPeer("peer:1", "secret");
  KeepAndWait(1);
  ASSERT_THAT(warnings(), ElementsAre(HasSubstr("no route")));
  EXPECT_THAT(warnings()[0], HasSubstr("tried again in 1s"));
  KeepAndWait(2);
  EXPECT_EQ(warnings().size(), 1u);
  clock_.Add(absl::Seconds(1));
  KeepAndWait(3);
  ASSERT_EQ(warnings().size(), 2u);
  EXPECT_THAT(warnings()[1], HasSubstr("tried again in 2s"));
  FailPeer(absl::OkStatus());
  clock_.Add(absl::Seconds(2));
  KeepAndWait(4);
  EXPECT_TRUE(PeerHas(4));
  EXPECT_THAT(OwnSteps(), ElementsAre(4, 3, 2));
  // It is trusted again.
  FailPeer(absl::UnavailableError("no route"));
  KeepAndWait(5);
  EXPECT_THAT(warnings().back(), HasSubstr("tried again in 1s"));
}

TEST_F(SnapshotKeeperTest, AnotherPeerIsUsedAtOnce) {
  peer_->Stall(true);
  keeper_->SetPeer("peer:1", "secret");
  Keep(4);
  peer_->AwaitAppends(1);
  keeper_->SetPeer("peer:2", "secret");
  EXPECT_EQ(keeper_->AwaitFree(), absl::OkStatus());
  EXPECT_THAT(warnings(), ElementsAre());
  peer_->Stall(false);
  KeepAndWait(5);
  EXPECT_THAT(opened(), ElementsAre("peer:1 secret 3", "peer:2 secret 3"));
  EXPECT_TRUE(PeerHas(5));
}

}  // namespace
}  // namespace penstock
