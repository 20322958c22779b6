#include "stage_server/checkpoint/state_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/layout/layout.h"
#include "stage_server/checkpoint/part_record.h"
#include "stage_server/checkpoint/shard_files.h"
#include "stage_server/checkpoint/test_snapshot.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

CheckpointId Id(int64_t step, int64_t epoch = 2,
                const std::string& job = "job-1") {
  CheckpointId id = TestCheckpoint(step);
  id.set_epoch(epoch);
  id.set_job_id(job);
  return id;
}

class StateMemoryTest : public ::testing::Test {
 protected:
  // All files of a part, as its writer puts them.
  ShardReport Put(const CheckpointId& id, int rank) {
    const auto store = memory_.StoreOf(rank);
    ShardReport part;
    *part.mutable_checkpoint() = id;
    auto files =
        WriteFiles(TestSnapshot(), id, *store, [] { return absl::OkStatus(); });
    EXPECT_TRUE(files.ok()) << files.status();
    part.mutable_files()->Assign(files->begin(), files->end());
    EXPECT_EQ(WritePartRecord(part, *store), absl::OkStatus());
    return part;
  }
  void Own(const CheckpointId& id, int rank = 0) {
    Put(id, rank);
    memory_.OwnStored(id, rank, /*blocked_nanos=*/5);
  }
  void Peers(const CheckpointId& id, int rank = 1) {
    Put(id, rank);
    memory_.PartStored(id, rank);
  }
  // "rank 0 epoch 2: 5 4"
  std::vector<std::string> Held() const {
    std::vector<std::string> lines;
    const MemoryReport report = memory_.Report();
    for (const auto& held : report.held()) {
      lines.push_back(absl::StrCat("rank ", held.rank(), " epoch ",
                                   held.epoch(), ": ",
                                   absl::StrJoin(held.steps(), " ")));
    }
    return lines;
  }
  std::vector<std::string> Folders(int rank) {
    const auto names = memory_.files().List(
        JobPath(RankPath(StateMemory::root(), rank), "job-1"));
    return names.ok() ? *names : std::vector<std::string>();
  }

  std::vector<MemoryReport> heard_;
  StateMemory memory_{
      [this](MemoryReport report) { heard_.push_back(std::move(report)); }};
};

TEST_F(StateMemoryTest, AWholePartIsToldAndCanBeRead) {
  const ShardReport part = Put(Id(4), 0);
  memory_.OwnStored(Id(4), 0, 5);
  EXPECT_THAT(Held(), ElementsAre("rank 0 epoch 2: 4"));
  EXPECT_EQ(memory_.Report().blocked_nanos(), 5);
  EXPECT_EQ(memory_.Report().held(0).job_id(), "job-1");
  memory_.OwnReplicated(7);
  ASSERT_THAT(heard_, SizeIs(2));
  EXPECT_EQ(heard_[1].replicate_nanos(), 7);
  const auto store = memory_.StoreOf(0);
  const auto read = ReadPartRecord(*store, Id(4));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), part.SerializeAsString());
  const ShardFile& file = part.files(0);
  EXPECT_TRUE(store->Read(Id(4), file.name(), 0, file.size_bytes()).ok());
}

TEST_F(StateMemoryTest, APartThatIsNotWholeIsNotRead) {
  const auto store = memory_.StoreOf(0);
  const auto files = WriteFiles(TestSnapshot(), Id(4), *store,
                                [] { return absl::OkStatus(); });
  ASSERT_TRUE(files.ok());
  EXPECT_TRUE(absl::IsNotFound(ReadPartRecord(*store, Id(4)).status()));
  EXPECT_TRUE(absl::IsNotFound(
      store->Read(Id(4), files->front().name(), 0, 1).status()));
}

TEST_F(StateMemoryTest, OfOwnPartsThreeStayAndOfAPeersTwo) {
  for (int step = 1; step <= 5; ++step) {
    Own(Id(step));
    Peers(Id(step));
  }
  EXPECT_THAT(Held(),
              ElementsAre("rank 0 epoch 2: 5 4 3", "rank 1 epoch 2: 5 4"));
  EXPECT_THAT(Folders(0), SizeIs(3));
  EXPECT_THAT(Folders(1), SizeIs(2));
}

TEST_F(StateMemoryTest, WhatNobodyWillFinishGoesAndWhatComesStays) {
  const auto store = memory_.StoreOf(1);
  for (const int step : {3, 9}) {
    ASSERT_TRUE(WriteFiles(TestSnapshot(), Id(step), *store, [] {
                  return absl::OkStatus();
                }).ok());
  }
  Peers(Id(5));
  EXPECT_THAT(Folders(1),
              ElementsAre(CheckpointFolder(5, 2), CheckpointFolder(9, 2)));
}

TEST_F(StateMemoryTest, TwoPartsOfANewerEpochEndTheOlderOnes) {
  Own(Id(5, 1));
  Peers(Id(5, 1), 1);
  Peers(Id(5, 1), 2);
  Own(Id(6, 2));
  EXPECT_THAT(Held(), ElementsAre("rank 0 epoch 2: 6", "rank 0 epoch 1: 5",
                                  "rank 1 epoch 1: 5", "rank 2 epoch 1: 5"));
  Own(Id(7, 2));
  EXPECT_THAT(Held(), ElementsAre("rank 0 epoch 2: 7 6"));
  EXPECT_THAT(Folders(2), IsEmpty());
}

TEST_F(StateMemoryTest, ALatePartOfAnOlderEpochTakesNoPlace) {
  Peers(Id(6, 2));
  Peers(Id(7, 2));
  Peers(Id(9, 1));
  EXPECT_THAT(Held(), ElementsAre("rank 1 epoch 2: 7 6"));
  EXPECT_THAT(Folders(1), SizeIs(2));
}

TEST_F(StateMemoryTest, AnotherJobsPartsAreForgotten) {
  memory_.Admit("job-1", "secret");
  Own(Id(5));
  Peers(Id(5, 1, "job-2"));
  memory_.KeepOnly("job-2");
  EXPECT_THAT(Held(), ElementsAre("rank 1 epoch 1: 5"));
  EXPECT_THAT(Folders(0), IsEmpty());
  EXPECT_FALSE(memory_.CheckToken("secret", "job-1").ok());
  memory_.KeepOnly("");
  EXPECT_THAT(Held(), IsEmpty());
  EXPECT_EQ(heard_.back().held_size(), 0);
}

TEST_F(StateMemoryTest, OnlyTheTokenThatWasToldIsGood) {
  EXPECT_TRUE(absl::IsPermissionDenied(memory_.CheckToken("", "job-1")));
  memory_.Admit("job-1", "secret");
  EXPECT_EQ(memory_.CheckToken("secret", "job-1"), absl::OkStatus());
  for (const char* bad : {"", "secreT", "secret2", "s"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(memory_.CheckToken(bad, "job-1")))
        << bad;
  }
  EXPECT_TRUE(absl::IsPermissionDenied(memory_.CheckToken("secret", "job-2")));
  memory_.Admit("job-1", "newer");
  EXPECT_FALSE(memory_.CheckToken("secret", "job-1").ok());
}

// ---- The record ------------------------------------------------------------

TEST_F(StateMemoryTest, ARecordThatIsNoneIsSaid) {
  const auto store = memory_.StoreOf(0);
  const auto put = [&](const CheckpointId& id, const std::string& content) {
    const auto upload = store->Begin(id, kPartFile, content.size()).value();
    EXPECT_EQ(upload->Append(content), absl::OkStatus());
    EXPECT_TRUE(upload->Finish().ok());
    return ReadPartRecord(*store, id).status();
  };
  EXPECT_TRUE(absl::IsOutOfRange(put(Id(1), "short")));
  EXPECT_TRUE(absl::IsDataLoss(put(Id(2), std::string(16, '\xff'))));
  EXPECT_TRUE(absl::IsDataLoss(put(
      Id(3), absl::StrCat("\x04", std::string(7, '\0'), "\xff\xff\xff\xff"))));
  ShardReport part;
  *part.mutable_checkpoint() = Id(5);
  const std::string of_other = part.SerializeAsString();
  const absl::Status other = put(
      Id(4), absl::StrCat(std::string(1, static_cast<char>(of_other.size())),
                          std::string(7, '\0'), of_other));
  EXPECT_TRUE(absl::IsDataLoss(other));
  EXPECT_NE(other.message().find("step 5"), std::string::npos) << other;
}

}  // namespace
}  // namespace penstock
