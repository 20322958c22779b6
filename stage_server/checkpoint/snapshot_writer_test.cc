#include "stage_server/checkpoint/snapshot_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "stage_server/checkpoint/memory_shard_store.h"
#include "stage_server/checkpoint/test_snapshot.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// Collects reports until the writer is gone.
class Reports {
 public:
  SnapshotWriter::Sink sink() {
    return [this](ShardReport report) {
      MutexLock lock(&mutex_);
      reports_.push_back(std::move(report));
      changed_.SignalAll();
    };
  }
  std::vector<ShardReport> Await(size_t count) {
    MutexLock lock(&mutex_);
    while (reports_.size() < count) changed_.Wait(&mutex_);
    return reports_;
  }
  size_t count() {
    MutexLock lock(&mutex_);
    return reports_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<ShardReport> reports_ ABSL_GUARDED_BY(mutex_);
};

class SnapshotWriterTest : public ::testing::Test {
 protected:
  std::unique_ptr<SnapshotWriter> MakeWriter() {
    return std::make_unique<SnapshotWriter>(*store_, reports_.sink());
  }

  const std::shared_ptr<ShardMemory> memory_ = std::make_shared<ShardMemory>();
  const std::unique_ptr<ShardStore> store_ = MakeMemoryShardStore(memory_);
  Reports reports_;
};

TEST_F(SnapshotWriterTest, ReportsAllFilesWithStateAndPlan) {
  const auto writer = MakeWriter();
  writer->Write(TestCheckpoint(), "hash", TestSnapshot());
  const ShardReport report = reports_.Await(1)[0];
  EXPECT_EQ(report.error(), "");
  EXPECT_EQ(report.files_size(), 4);
  EXPECT_EQ(report.plan_hash(), "hash");
  EXPECT_EQ(report.checkpoint().step(), 4);
  EXPECT_EQ(report.checkpoint().epoch(), 2);
  EXPECT_EQ(report.state().stages(0).updates(), 4);
  EXPECT_GT(report.upload_nanos(), 0);
  MutexLock lock(&memory_->mutex);
  EXPECT_EQ(memory_->files.size(), 4u);
}

TEST_F(SnapshotWriterTest, OneAfterTheOtherAllAreWritten) {
  const auto writer = MakeWriter();
  for (int step = 1; step <= 3; ++step) {
    writer->Write(TestCheckpoint(step), "hash", TestSnapshot());
    EXPECT_EQ(reports_.Await(step).back().checkpoint().step(), step);
  }
}

TEST_F(SnapshotWriterTest, AnErrorIsReportedWithoutFiles) {
  {
    MutexLock lock(&memory_->mutex);
    memory_->append_status = absl::ResourceExhaustedError("no space");
    memory_->appends_before_status = 4;
  }
  const auto writer = MakeWriter();
  writer->Write(TestCheckpoint(), "hash", TestSnapshot());
  const ShardReport report = reports_.Await(1)[0];
  EXPECT_THAT(report.error(), HasSubstr("no space"));
  EXPECT_EQ(report.files_size(), 0);
}

TEST_F(SnapshotWriterTest, ALaterSnapshotTakesThePlaceOfTheRunningOne) {
  memory_->Stall(true);
  const auto writer = MakeWriter();
  writer->Write(TestCheckpoint(1), "hash", TestSnapshot());
  memory_->AwaitAppends(1);
  writer->Write(TestCheckpoint(2), "hash", TestSnapshot());
  memory_->Stall(false);
  EXPECT_EQ(reports_.Await(1)[0].checkpoint().step(), 2);
  EXPECT_EQ(reports_.count(), 1u);
}

TEST_F(SnapshotWriterTest, AnAbandonedSnapshotIsHeardOfNoMore) {
  memory_->Stall(true);
  const auto writer = MakeWriter();
  writer->Write(TestCheckpoint(1), "hash", TestSnapshot());
  memory_->AwaitAppends(1);
  writer->AbandonOthers(1);
  writer->AbandonOthers(7);
  memory_->Stall(false);
  writer->Write(TestCheckpoint(7), "hash", TestSnapshot());
  EXPECT_EQ(reports_.Await(1)[0].checkpoint().step(), 7);
}

TEST_F(SnapshotWriterTest, ItsEndCancelsWhatTheStoreWaitsFor) {
  memory_->Stall(true);
  auto writer = MakeWriter();
  writer->Write(TestCheckpoint(1), "hash", TestSnapshot());
  memory_->AwaitAppends(1);
  writer.reset();
  EXPECT_EQ(reports_.count(), 0u);
}

TEST_F(SnapshotWriterTest, TheSnapshotIsLetGoOfBeforeTheReport) {
  std::weak_ptr<const void> memory;
  bool was_free = false;
  Mutex mutex;
  CondVar changed;
  bool done = false;
  SnapshotWriter writer(*store_, [&](ShardReport) {
    MutexLock lock(&mutex);
    was_free = memory.expired();
    done = true;
    changed.SignalAll();
  });
  EngineSnapshot snapshot = TestSnapshot();
  {
    MutexLock lock(&mutex);
    memory = snapshot.memory;
  }
  writer.Write(TestCheckpoint(), "hash", std::move(snapshot));
  MutexLock lock(&mutex);
  while (!done) changed.Wait(&mutex);
  EXPECT_TRUE(was_free);
}

}  // namespace
}  // namespace penstock
