#include "checkpoint/store/checkpoint_store.h"

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckpointStoreTest : public ::testing::Test {
 protected:
  CheckpointStoreTest() {
    auto store = CheckpointStore::Open(files_, "/r");
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = std::make_unique<CheckpointStore>(*std::move(store));
  }

  // Its shards, and no more.
  TestCheckpoint Put(int64_t step, int64_t epoch,
                     const std::string& job = "job") {
    TestCheckpoint checkpoint =
        MakeTestCheckpoint(TestCheckpointId(job, step, epoch));
    const std::string folder = CheckpointPath("/r", checkpoint.manifest.id());
    EXPECT_EQ(files_.MakeFolder(folder), absl::OkStatus());
    for (const auto& [name, content] : checkpoint.shards) {
      EXPECT_EQ(PublishFile(files_, absl::StrCat(folder, "/", name), content),
                absl::OkStatus());
    }
    return checkpoint;
  }
  CheckpointId PutCommitted(int64_t step, int64_t epoch) {
    const TestCheckpoint checkpoint = Put(step, epoch);
    EXPECT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
    return checkpoint.manifest.id();
  }
  std::string PathOf(const CheckpointId& id, absl::string_view name) const {
    return absl::StrCat(CheckpointPath("/r", id), "/", name);
  }
  // "5.1 committed"
  std::vector<std::string> Listed(const std::string& job = "job") const {
    std::vector<std::string> texts;
    const auto all = store_->List(job);
    EXPECT_TRUE(all.ok()) << all.status();
    for (const StoredCheckpoint& found : *all) {
      const char* const states[] = {"committed", "uncommitted", "deleting"};
      texts.push_back(absl::StrCat(found.id.step(), ".", found.id.epoch(), " ",
                                   states[static_cast<int>(found.state)]));
    }
    return texts;
  }

  FaultyFileSystem files_;
  std::unique_ptr<CheckpointStore> store_;
};

TEST_F(CheckpointStoreTest, WhatIsCommittedIsReadBack) {
  const TestCheckpoint checkpoint = Put(5, 1);
  ASSERT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  const auto manifest = store_->Read(checkpoint.manifest.id());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->SerializeAsString(),
            checkpoint.manifest.SerializeAsString());
  EXPECT_EQ(store_->Verify(checkpoint.manifest.id(), nullptr),
            absl::OkStatus());
  EXPECT_THAT(Listed(), ElementsAre("5.1 committed"));
  EXPECT_THAT(*files_.List(CheckpointPath("/r", checkpoint.manifest.id())),
              ElementsAre("COMMIT", "l0000-h0.opt.safetensors",
                          "l0000-h0.w.safetensors", "l0001-h1.opt.safetensors",
                          "l0001-h1.w.safetensors", "manifest.json",
                          "model.safetensors.index.json", "train_state.json"));
  EXPECT_EQ(*ReadWholeFile(files_, "/r/job/LATEST"), "step-000000005.e0001\n");
}

TEST_F(CheckpointStoreTest, FilesMayBeGivenInAnyOrder) {
  TestCheckpoint checkpoint = Put(5, 1);
  checkpoint.manifest.mutable_files()->SwapElements(0, 3);
  checkpoint.manifest.clear_format_version();
  ASSERT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  EXPECT_TRUE(store_->Read(checkpoint.manifest.id()).ok());
}

TEST_F(CheckpointStoreTest, CommittingAgainIsTheSame) {
  TestCheckpoint checkpoint = Put(5, 1);
  ASSERT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  EXPECT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  checkpoint.manifest.set_plan_hash("another");
  EXPECT_TRUE(absl::IsAlreadyExists(store_->Commit(checkpoint.manifest)));
}

TEST_F(CheckpointStoreTest, NothingIsCommittedWithoutItsShards) {
  const TestCheckpoint checkpoint = Put(5, 1);
  const std::string shard =
      PathOf(checkpoint.manifest.id(), "l0001-h1.w.safetensors");
  ASSERT_EQ(PublishFile(files_, shard, "short"), absl::OkStatus());
  absl::Status status = store_->Commit(checkpoint.manifest);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("has 5 bytes, wanted"));
  ASSERT_EQ(files_.Remove(shard), absl::OkStatus());
  status = store_->Commit(checkpoint.manifest);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is missing"));
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->Commit(
      MakeTestCheckpoint(TestCheckpointId("job", 6, 1)).manifest)));
  EXPECT_THAT(Listed(), ElementsAre("5.1 uncommitted"));
}

TEST_F(CheckpointStoreTest, AnInvalidManifestIsNotCommitted) {
  TestCheckpoint checkpoint = Put(5, 1);
  checkpoint.manifest.mutable_files(0)->set_name("../x");
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Commit(checkpoint.manifest)));
  EXPECT_THAT(Listed(), ElementsAre("5.1 uncommitted"));
}

TEST_F(CheckpointStoreTest, AStepThatIsNotThereNamesTheNearest) {
  PutCommitted(5, 1);
  PutCommitted(20, 1);
  Put(12, 1);
  const absl::Status status =
      store_->Read(TestCheckpointId("job", 12, 1)).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the nearest is of step 5, epoch 1"));
  EXPECT_THAT(
      std::string(
          store_->Read(TestCheckpointId("job", 13, 1)).status().message()),
      HasSubstr("the nearest is of step 20"));
  EXPECT_THAT(
      std::string(
          store_->Read(TestCheckpointId("none", 1, 1)).status().message()),
      HasSubstr("nor any other"));
}

TEST_F(CheckpointStoreTest, ListsStepsAsNumbers) {
  PutCommitted(2'000'000'000, 1);
  PutCommitted(9, 10'000);
  PutCommitted(9, 2);
  ASSERT_EQ(files_.MakeFolder("/r/job/step-x"), absl::OkStatus());
  EXPECT_THAT(Listed(), ElementsAre("9.2 committed", "9.10000 committed",
                                    "2000000000.1 committed"));
  EXPECT_THAT(Listed("other"), IsEmpty());
  EXPECT_TRUE(absl::IsInvalidArgument(store_->List("..").status()));
}

TEST_F(CheckpointStoreTest, ListsJobs) {
  Put(5, 1, "b");
  Put(5, 1, "a");
  ASSERT_EQ(PublishFile(files_, "/r/file", ""), absl::OkStatus());
  EXPECT_THAT(*store_->ListJobs(), ElementsAre("a", "b"));
}

TEST_F(CheckpointStoreTest, WhatIsDeletedIsGone) {
  const CheckpointId id = PutCommitted(5, 1);
  PutCommitted(6, 1);
  ASSERT_EQ(store_->Delete(id), absl::OkStatus());
  EXPECT_EQ(store_->Delete(id), absl::OkStatus());
  EXPECT_EQ(store_->Delete(TestCheckpointId("none", 1, 1)), absl::OkStatus());
  EXPECT_THAT(Listed(), ElementsAre("6.1 committed"));
  EXPECT_TRUE(absl::IsNotFound(files_.List(CheckpointPath("/r", id)).status()));
}

TEST_F(CheckpointStoreTest, ADeletionThatWasCutShortIsFinishedLater) {
  const CheckpointId id = PutCommitted(5, 1);
  bool seen_deleting = false;
  for (int operation = 0;; ++operation) {
    PutCommitted(5, 1);
    files_.FailAt(operation, FileFault::kIoError);
    const absl::Status status = store_->Delete(id);
    files_.Restart(operation);
    const auto listed = Listed();
    // All of it is there, or it is none.
    if (listed == std::vector<std::string>{"5.1 committed"}) {
      EXPECT_EQ(store_->Verify(id, nullptr), absl::OkStatus()) << operation;
      ASSERT_EQ(store_->Delete(id), absl::OkStatus());
    } else {
      EXPECT_TRUE(absl::IsNotFound(store_->Read(id).status())) << operation;
    }
    // Of an epoch that is over it goes even if no name says what it was.
    const bool is_marked = listed == std::vector<std::string>{"5.1 deleting"};
    seen_deleting |= is_marked;
    ASSERT_TRUE(store_->CollectGarbage("job", is_marked ? 0 : 2).ok());
    ASSERT_THAT(Listed(), IsEmpty()) << operation;
    if (status.ok()) break;
  }
  EXPECT_TRUE(seen_deleting);
}

TEST_F(CheckpointStoreTest, GarbageIsWhatADeadEpochDidNotCommit) {
  PutCommitted(5, 1);
  Put(6, 1);
  Put(6, 2);
  Put(7, 3);
  const auto removed = store_->CollectGarbage("job", /*live_epoch=*/2);
  ASSERT_TRUE(removed.ok()) << removed.status();
  ASSERT_EQ(removed->size(), 1u);
  EXPECT_EQ(removed->front().step(), 6);
  EXPECT_EQ(removed->front().epoch(), 1);
  EXPECT_THAT(Listed(), ElementsAre("5.1 committed", "6.2 uncommitted",
                                    "7.3 uncommitted"));
}

TEST_F(CheckpointStoreTest, VerifyingReportsAndCanBeEnded) {
  const CheckpointId id = PutCommitted(5, 1);
  int64_t done = 0;
  int64_t total = 0;
  ASSERT_EQ(store_->Verify(id,
                           [&](const CheckpointStore::Progress& progress) {
                             EXPECT_GT(progress.done_bytes, done);
                             done = progress.done_bytes;
                             total = progress.total_bytes;
                             return true;
                           }),
            absl::OkStatus());
  EXPECT_EQ(done, total);
  EXPECT_GT(total, 0);
  EXPECT_TRUE(absl::IsCancelled(store_->Verify(
      id, [](const CheckpointStore::Progress&) { return false; })));
}

TEST_F(CheckpointStoreTest, StorageThatFailsIsNotTakenForDamage) {
  const CheckpointId id = PutCommitted(5, 1);
  for (int operation = 0;; ++operation) {
    files_.FailAt(operation, FileFault::kIoError);
    const absl::Status status = store_->Verify(id, nullptr);
    if (status.ok()) break;
    EXPECT_EQ(status.code(), absl::StatusCode::kUnknown) << operation << status;
  }
}

TEST(CheckpointStoreOpenTest, AFolderThatCannotBeWrittenIsRefused) {
  for (int operation = 0;; ++operation) {
    FaultyFileSystem files;
    files.FailAt(operation, FileFault::kNoSpace);
    const absl::Status status = CheckpointStore::Open(files, "/r").status();
    if (status.ok()) {
      EXPECT_GE(operation, 5);
      break;
    }
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << operation << status;
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr("folder of checkpoints /r"), HasSubstr("make room")));
  }
}

TEST(CheckpointStoreOpenTest, AReadOnlyFolderIsRefusedWithAdvice) {
  const std::string root = absl::StrCat(::testing::TempDir(), "/read_only");
  std::filesystem::create_directories(root);
  std::filesystem::permissions(root, std::filesystem::perms::owner_read |
                                         std::filesystem::perms::owner_exec);
  // The superuser may write everywhere; anyone else stands for it.
  constexpr uid_t kNobody = 65534;
  const uid_t user = geteuid();
  if (user == 0) {
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  const auto files = MakePosixFileSystem();
  const absl::Status status = CheckpointStore::Open(*files, root).status();
  ASSERT_EQ(seteuid(user), 0);
  std::filesystem::permissions(root, std::filesystem::perms::owner_all);
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(root), HasSubstr("this user may write to")));
}

TEST(CheckpointStoreOpenTest, AFileIsNoFolder) {
  const auto files = MakePosixFileSystem();
  const std::string path = absl::StrCat(::testing::TempDir(), "/plain_file");
  ASSERT_EQ(PublishFile(*files, path, ""), absl::OkStatus());
  const absl::Status status = CheckpointStore::Open(*files, path).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
}

TEST(CheckpointStoreOpenTest, MakesTheFolderAndLeavesNothingInIt) {
  const auto files = MakePosixFileSystem();
  const std::string path = absl::StrCat(::testing::TempDir(), "/new/root");
  ASSERT_TRUE(CheckpointStore::Open(*files, path).ok());
  EXPECT_THAT(*files->List(path), IsEmpty());
}

}  // namespace
}  // namespace penstock
