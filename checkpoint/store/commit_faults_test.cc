// A commit under every single fault: afterwards the new checkpoint is complete
// and verified, or it is none and the one before is.

#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "checkpoint/store/checkpoint_store.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

// What a restart leaves is drawn. After a crash more is in doubt.
int SeedsPerFault(FileFault fault) {
  return fault == FileFault::kCrash ? 20 : 4;
}

// All that a checkpoint takes, from its first shard to its COMMIT.
absl::Status Write(FileSystem& files, const TestCheckpoint& checkpoint) {
  const auto store = CheckpointStore::Open(files, "/r");
  if (!store.ok()) return store.status();
  const auto shards = MakeDirectoryShardStore(files, "/r");
  for (const auto& [name, content] : checkpoint.shards) {
    auto upload = shards->Begin(checkpoint.manifest.id(), name, content.size());
    if (!upload.ok()) return upload.status();
    const absl::Status appended = (*upload)->Append(content);
    if (!appended.ok()) return appended;
    const auto stored = (*upload)->Finish();
    if (!stored.ok()) return stored.status();
  }
  CheckpointStore writable = *store;
  return writable.Commit(checkpoint.manifest);
}

class CommitFaultsTest : public ::testing::TestWithParam<FileFault> {
 protected:
  // What a coordinator does that starts again.
  void ExpectOneOfBoth(FileSystem& files, bool new_is_promised) {
    auto store = CheckpointStore::Open(files, "/r");
    ASSERT_TRUE(store.ok()) << store.status();
    const auto removed = store->CollectGarbage("job", /*live_epoch=*/2);
    ASSERT_TRUE(removed.ok()) << removed.status();
    const auto found = store->List("job");
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_FALSE(found->empty());
    for (const StoredCheckpoint& checkpoint : *found) {
      ASSERT_EQ(checkpoint.state, StoredCheckpointState::kCommitted);
      ASSERT_EQ(store->Verify(checkpoint.id, nullptr), absl::OkStatus());
    }
    ASSERT_EQ(found->front().id.step(), old_.manifest.id().step());
    ASSERT_LE(found->size(), 2u);
    if (new_is_promised) {
      ASSERT_EQ(found->size(), 2u);
    }
    num_new_ += static_cast<int>(found->size()) - 1;
    // And the folder takes the next one.
    ASSERT_EQ(Write(files, next_), absl::OkStatus());
    ASSERT_EQ(store->Verify(next_.manifest.id(), nullptr), absl::OkStatus());
  }

  const TestCheckpoint old_ =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1), 2, 1);
  const TestCheckpoint new_ =
      MakeTestCheckpoint(TestCheckpointId("job", 10, 1), 2, 2);
  const TestCheckpoint next_ =
      MakeTestCheckpoint(TestCheckpointId("job", 10, 2), 2, 3);
  int num_new_ = 0;
};

TEST_P(CommitFaultsTest, LeaveTheNewCheckpointWholeOrTheOldOne) {
  const FileFault fault = GetParam();
  int num_runs = 0;
  for (int operation = 0;; ++operation) {
    bool was_reached = true;
    for (int seed = 0; seed < SeedsPerFault(fault); ++seed) {
      SCOPED_TRACE(absl::StrCat("operation ", operation, ", seed ", seed));
      FaultyFileSystem files;
      ASSERT_EQ(Write(files, old_), absl::OkStatus());
      const int64_t before = files.num_operations();
      files.FailAt(operation, fault);
      const absl::Status status = Write(files, new_);
      was_reached = files.num_operations() - before > operation;
      // Also without a crash, the machine may end afterwards.
      files.Restart(seed);
      ExpectOneOfBoth(files, /*new_is_promised=*/status.ok());
      if (HasFatalFailure()) return;
      ++num_runs;
    }
    if (!was_reached) break;
  }
  EXPECT_GT(num_runs, 200);
  EXPECT_GT(num_new_, 0);
  EXPECT_LT(num_new_, num_runs);
}

TEST_P(CommitFaultsTest, WithoutARestartItCanBeTriedAgain) {
  const FileFault fault = GetParam();
  if (fault == FileFault::kCrash) return;
  for (int operation = 0;; ++operation) {
    SCOPED_TRACE(absl::StrCat("operation ", operation));
    FaultyFileSystem files;
    ASSERT_EQ(Write(files, old_), absl::OkStatus());
    const int64_t before = files.num_operations();
    files.FailAt(operation, fault);
    const absl::Status status = Write(files, new_);
    if (files.num_operations() - before <= operation) break;
    auto store = CheckpointStore::Open(files, "/r");
    ASSERT_TRUE(store.ok());
    ASSERT_EQ(store->Verify(old_.manifest.id(), nullptr), absl::OkStatus());
    const auto read = store->Read(new_.manifest.id());
    if (read.ok()) {
      // Committed before the fault, or with it.
      ASSERT_EQ(store->Commit(new_.manifest), absl::OkStatus());
    } else {
      ASSERT_FALSE(status.ok());
      ASSERT_EQ(Write(files, new_), absl::OkStatus());
    }
    ASSERT_EQ(store->Verify(new_.manifest.id(), nullptr), absl::OkStatus());
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, CommitFaultsTest,
                         ::testing::Values(FileFault::kNoSpace,
                                           FileFault::kIoError,
                                           FileFault::kShortWrite,
                                           FileFault::kCrash),
                         [](const auto& info) -> std::string {
                           switch (info.param) {
                             case FileFault::kNoSpace:
                               return "NoSpace";
                             case FileFault::kIoError:
                               return "IoError";
                             case FileFault::kShortWrite:
                               return "ShortWrite";
                             case FileFault::kCrash:
                               return "Crash";
                           }
                           return "Unknown";
                         });

}  // namespace
}  // namespace penstock
