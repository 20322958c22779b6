#include "stage_server/checkpoint/memory_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/shards/corruption.h"
#include "stage_server/checkpoint/memory_shard_store.h"
#include "stage_server/checkpoint/part_record.h"
#include "stage_server/checkpoint/shard_files.h"
#include "stage_server/checkpoint/shard_reader.h"
#include "stage_server/checkpoint/test_snapshot.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The entries of TestSnapshot of one layer, as one rank's.
EngineSnapshot PartOf(int layer, int stage) {
  EngineSnapshot snapshot = TestSnapshot();
  std::erase_if(snapshot.tensors, [layer](const auto& entry) {
    return entry.tensor.layer != layer;
  });
  snapshot.state.mutable_stages(0)->set_stage(stage);
  return snapshot;
}

class MemorySourceTest : public ::testing::Test {
 protected:
  MemorySourceTest() {
    EngineSnapshot first = PartOf(0, 0);
    EngineSnapshot second = PartOf(2, 1);
    second.state.set_dataset_fingerprint("data");
    Put("a:1", first);
    Put("b:1", second);
    *point_.mutable_checkpoint() = TestCheckpoint();
    point_.mutable_memory()->set_token("secret");
    for (const char* address : {"a:1", "b:1"}) {
      MemoryRestore::Part& part = *point_.mutable_memory()->add_parts();
      part.set_address(address);
      part.set_rank(point_.memory().parts_size() - 1);
    }
  }

  void Put(const std::string& address, const EngineSnapshot& snapshot,
           const std::string& plan_hash = "hash") {
    auto& memory = servers_[address] = std::make_shared<ShardMemory>();
    const auto store = MakeMemoryShardStore(memory);
    ShardReport part;
    *part.mutable_checkpoint() = TestCheckpoint();
    *part.mutable_state() = snapshot.state;
    part.set_plan_hash(plan_hash);
    const auto files = WriteFiles(snapshot, part.checkpoint(), *store,
                                  [] { return absl::OkStatus(); });
    ASSERT_TRUE(files.ok()) << files.status();
    part.mutable_files()->Assign(files->begin(), files->end());
    ASSERT_EQ(WritePartRecord(part, *store), absl::OkStatus());
  }

  std::unique_ptr<MemorySource> MakeSource() {
    return std::make_unique<MemorySource>(
        point_,
        [this](const std::string& address, const std::string& token, int) {
          EXPECT_EQ(token, "secret");
          auto& memory = servers_[address];
          if (memory == nullptr) memory = std::make_shared<ShardMemory>();
          return MakeMemoryShardStore(memory);
        });
  }
  void ExpectLost(const std::string& why) {
    const absl::Status status = MakeSource()->Open();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), StartsWith(kLostMemory));
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  std::map<std::string, std::shared_ptr<ShardMemory>> servers_;
  RestorePoint point_;
};

TEST_F(MemorySourceTest, AllPartsAreOneStateAndEachIsReadWhereItIs) {
  const auto source = MakeSource();
  ASSERT_EQ(source->Open(), absl::OkStatus());
  const RestorePoint& point = source->point();
  EXPECT_EQ(point.files_size(), 4);
  EXPECT_EQ(point.state().step(), 4);
  EXPECT_EQ(point.state().stages_size(), 2);
  EXPECT_EQ(point.state().stages(1).stage(), 1);
  EXPECT_EQ(point.state().dataset_fingerprint(), "data");

  const EngineSnapshot want = TestSnapshot();
  std::vector<std::vector<std::byte>> got;
  std::vector<StateSlot> slots;
  for (const EngineSnapshot::Entry& entry : want.tensors) {
    got.emplace_back(entry.bytes.size());
    slots.push_back({entry.tensor, absl::MakeSpan(got.back())});
  }
  ShardReader reader(point, *source);
  ASSERT_EQ(reader.Fill(slots, TestLayerNames()), absl::OkStatus());
  for (size_t i = 0; i < want.tensors.size(); ++i) {
    EXPECT_TRUE(absl::MakeConstSpan(got[i]) == want.tensors[i].bytes)
        << want.tensors[i].tensor.name;
  }
}

TEST_F(MemorySourceTest, APartThatIsGoneNamesRankAndServer) {
  servers_.erase("b:1");
  ExpectLost("part of rank 1 at b:1");
}

TEST_F(MemorySourceTest, NoPartAtAllIsNoState) {
  point_.mutable_memory()->clear_parts();
  ExpectLost("no part is named");
}

TEST_F(MemorySourceTest, PartsOfTwoPlansDoNotGoTogether) {
  Put("b:1", PartOf(2, 1), "another");
  ExpectLost("another plan");
}

TEST_F(MemorySourceTest, ALayerInTwoPartsIsRefused) {
  Put("b:1", PartOf(0, 1));
  ExpectLost("is in another part, too");
}

TEST_F(MemorySourceTest, PartsOfTwoStepsDoNotGoTogether) {
  EngineSnapshot other = PartOf(2, 1);
  other.state.set_step(5);
  Put("b:1", other);
  ExpectLost("of step 5");
}

TEST_F(MemorySourceTest, WhatIsLostWhileReadingIsSaidSo) {
  const auto source = MakeSource();
  ASSERT_EQ(source->Open(), absl::OkStatus());
  {
    MutexLock lock(&servers_["b:1"]->mutex);
    servers_["b:1"]->files.clear();
  }
  const EngineSnapshot want = TestSnapshot();
  std::vector<std::byte> bytes(want.tensors[4].bytes.size());
  StateSlot slot = {want.tensors[4].tensor, absl::MakeSpan(bytes)};
  ShardReader reader(source->point(), *source);
  const absl::Status status = reader.Fill({slot}, TestLayerNames());
  EXPECT_THAT(std::string(status.message()), StartsWith(kLostMemory));
}

TEST_F(MemorySourceTest, APartThatIsNotNamedIsALossAndNoOtherModel) {
  point_.mutable_memory()->mutable_parts()->RemoveLast();
  const auto source = MakeSource();
  ASSERT_EQ(source->Open(), absl::OkStatus());
  const EngineSnapshot want = TestSnapshot();
  std::vector<std::byte> bytes(want.tensors[4].bytes.size());
  StateSlot slot = {want.tensors[4].tensor, absl::MakeSpan(bytes)};
  ShardReader reader(source->point(), *source);
  const absl::Status status = reader.Fill({slot}, TestLayerNames());
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith(kLostMemory));
  EXPECT_THAT(std::string(status.message()), HasSubstr("h0.norm"));
}

TEST_F(MemorySourceTest, ACancellationIsNoLoss) {
  const auto source = MakeSource();
  const absl::Status why = absl::CancelledError("left");
  source->Cancel(why);
  EXPECT_EQ(source->Open(), why);
}

TEST_F(MemorySourceTest, NothingIsStoredInIt) {
  const auto source = MakeSource();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      source->Begin(TestCheckpoint(), "a", 1).status()));
}

}  // namespace
}  // namespace penstock
