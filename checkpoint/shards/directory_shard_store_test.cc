#include "checkpoint/shards/directory_shard_store.h"

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr char kFile[] = "l0000-embed.w.safetensors";

class DirectoryShardStoreTest : public ::testing::Test {
 protected:
  DirectoryShardStoreTest() {
    EXPECT_EQ(files_.MakeFolder("/r"), absl::OkStatus());
  }

  absl::Status Write(absl::string_view content) {
    auto upload = store_->Begin(id_, kFile, content.size());
    if (!upload.ok()) return upload.status();
    const absl::Status appended = (*upload)->Append(content);
    if (!appended.ok()) return appended;
    const auto stored = (*upload)->Finish();
    if (stored.ok()) {
      EXPECT_EQ(stored->crc32c, Crc32c(content));
    }
    return stored.status();
  }
  void Commit() {
    ASSERT_EQ(
        PublishFile(files_,
                    absl::StrCat(CheckpointPath("/r", id_), "/", kCommitFile),
                    "x"),
        absl::OkStatus());
  }

  FaultyFileSystem files_;
  const CheckpointId id_ = TestCheckpointId("job", 5, 1);
  const std::unique_ptr<ShardStore> store_ =
      MakeDirectoryShardStore(files_, "/r");
};

TEST_F(DirectoryShardStoreTest, WhatWasWrittenIsReadOnceItIsCommitted) {
  ASSERT_EQ(Write("content"), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(store_->Read(id_, kFile, 0, 7).status()));
  Commit();
  EXPECT_EQ(store_->Read(id_, kFile, 0, 7).value_or("?"), "content");
  EXPECT_EQ(store_->Read(id_, kFile, 3, 4).value_or("?"), "tent");
  EXPECT_EQ(store_->Read(id_, kCommitFile, 0, 1).value_or("?"), "x");
}

TEST_F(DirectoryShardStoreTest, SaysWhatIsNotThere) {
  EXPECT_TRUE(absl::IsNotFound(store_->Read(id_, kFile, 0, 1).status()));
  ASSERT_EQ(Write("content"), absl::OkStatus());
  Commit();
  EXPECT_TRUE(absl::IsOutOfRange(store_->Read(id_, kFile, 4, 4).status()));
  EXPECT_TRUE(absl::IsOutOfRange(store_->Read(id_, kFile, -1, 1).status()));
  EXPECT_TRUE(absl::IsNotFound(
      store_->Read(id_, "l0001-h.w.safetensors", 0, 1).status()));
}

TEST_F(DirectoryShardStoreTest, NamesThatLeadElsewhereAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Begin(id_, "../a", 1).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(store_->Read(id_, "../a", 0, 1).status()));
  CheckpointId other = id_;
  other.set_job_id("../job");
  EXPECT_TRUE(
      absl::IsInvalidArgument(store_->Read(other, kFile, 0, 1).status()));
}

TEST_F(DirectoryShardStoreTest, AfterACancellationEveryCallSaysWhy) {
  auto upload = store_->Begin(id_, kFile, 1);
  ASSERT_TRUE(upload.ok());
  const absl::Status why = absl::AbortedError("the epoch is over");
  store_->Cancel(why);
  store_->Cancel(absl::UnknownError("later"));
  EXPECT_EQ((*upload)->Append("x"), why);
  EXPECT_EQ((*upload)->Finish().status(), why);
  EXPECT_EQ(store_->Begin(id_, kFile, 1).status(), why);
  EXPECT_EQ(store_->Read(id_, kFile, 0, 1).status(), why);
}

TEST_F(DirectoryShardStoreTest, AFullDiskIsSaid) {
  auto upload = store_->Begin(id_, kFile, 1);
  ASSERT_TRUE(upload.ok());
  files_.FailAt(0, FileFault::kNoSpace);
  EXPECT_TRUE(absl::IsResourceExhausted((*upload)->Append("x")));
}

// On real files: in memory there are no links.
TEST(DirectoryShardStoreLinksTest, LinksAreNotFollowed) {
  const std::string root = absl::StrCat(::testing::TempDir(), "/link_root");
  const std::string outside = absl::StrCat(::testing::TempDir(), "/outside");
  const auto files = MakePosixFileSystem();
  const CheckpointId id = TestCheckpointId("job", 5, 1);
  const std::string folder = CheckpointPath(root, id);
  ASSERT_EQ(files->MakeFolder(folder), absl::OkStatus());
  ASSERT_EQ(files->MakeFolder(outside), absl::OkStatus());
  const auto store = MakeDirectoryShardStore(*files, root);

  // A part that leads outside.
  std::filesystem::create_symlink(absl::StrCat(outside, "/stolen"),
                                  absl::StrCat(folder, "/", kFile, ".part"));
  EXPECT_FALSE(store->Begin(id, kFile, 1).ok());
  EXPECT_TRUE(absl::IsNotFound(
      files->KindOf(absl::StrCat(outside, "/stolen")).status()));

  // A file that leads outside.
  ASSERT_EQ(PublishFile(*files, absl::StrCat(outside, "/secret"), "secret"),
            absl::OkStatus());
  ASSERT_EQ(PublishFile(*files, absl::StrCat(folder, "/", kCommitFile), "x"),
            absl::OkStatus());
  std::filesystem::create_symlink(absl::StrCat(outside, "/secret"),
                                  absl::StrCat(folder, "/", kFile));
  EXPECT_TRUE(absl::IsDataLoss(store->Read(id, kFile, 0, 6).status()));

  // A folder that does.
  const CheckpointId other = TestCheckpointId("job", 6, 1);
  std::filesystem::create_directory_symlink(outside,
                                            CheckpointPath(root, other));
  EXPECT_FALSE(store->Begin(other, kFile, 1).ok());
  EXPECT_TRUE(absl::IsDataLoss(store->Read(other, kFile, 0, 1).status()));
}

}  // namespace
}  // namespace penstock
