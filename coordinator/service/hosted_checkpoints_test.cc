#include "coordinator/service/hosted_checkpoints.h"

#include <filesystem>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/transfer/token.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

void PutShards(ShardStore& store, const TestCheckpoint& checkpoint) {
  for (const auto& [name, bytes] : checkpoint.shards) {
    auto upload =
        store.Begin(checkpoint.manifest.id(), name, bytes.size()).value();
    ASSERT_TRUE(upload->Append(bytes).ok());
    ASSERT_TRUE(upload->Finish().ok());
  }
}

ClusterEvent Do(CheckpointPort& port, CheckpointWork work) {
  ClusterEvent answer;
  absl::Notification done;
  port.Do(std::move(work), [&](ClusterEvent event) {
    answer = std::move(event);
    done.Notify();
  });
  done.WaitForNotification();
  return answer;
}

class HostedCheckpointsTest : public ::testing::Test {
 protected:
  HostedCheckpointsTest() : files_(MakePosixFileSystem()) {
    HostedCheckpointsOptions options;
    options.root = absl::StrCat(
        ::testing::TempDir(), "/",
        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(options.root);
    options.key = "a key of the store's";
    port_ = OpenHostedCheckpoints(options).value();
    root_ = options.root;
  }

  void PutShards(const TestCheckpoint& checkpoint) {
    penstock::PutShards(*MakeDirectoryShardStore(*files_, root_), checkpoint);
  }

  ClusterEvent Do(CheckpointWork work) {
    return penstock::Do(*port_, std::move(work));
  }

  const std::unique_ptr<FileSystem> files_;
  std::string root_;
  std::unique_ptr<CheckpointPort> port_;
};

TEST_F(HostedCheckpointsTest, CommitReadVerifyAndRemoveAreAnswered) {
  const CheckpointId id = TestCheckpointId("a", 5, 1);
  const TestCheckpoint checkpoint = MakeTestCheckpoint(id);
  PutShards(checkpoint);
  const auto stored =
      std::get<CheckpointStored>(Do(CommitCheckpoint{checkpoint.manifest}));
  ASSERT_TRUE(stored.status.ok()) << stored.status;
  EXPECT_EQ(stored.id.step(), 5);
  EXPECT_THAT(port_->List("a").value(), SizeIs(1));
  const auto read = std::get<ManifestRead>(Do(ReadManifest{"b", id}));
  EXPECT_EQ(read.job_id, "b");
  ASSERT_TRUE(read.manifest.ok()) << read.manifest.status();
  EXPECT_EQ((*read.manifest)->files_size(), checkpoint.manifest.files_size());

  absl::Status verdict = absl::UnknownError("not called");
  absl::Notification verified;
  port_->Verify(
      id, [](int64_t, int64_t) { return true; },
      [&](absl::Status status) {
        verdict = std::move(status);
        verified.Notify();
      });
  verified.WaitForNotification();
  EXPECT_TRUE(verdict.ok()) << verdict;

  const auto removed = std::get<CheckpointRemoved>(Do(RemoveCheckpoint{id}));
  EXPECT_TRUE(removed.status.ok()) << removed.status;
  EXPECT_THAT(port_->List("a").value(), IsEmpty());
}

TEST_F(HostedCheckpointsTest, ACommitWithoutShardsSaysSo) {
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("a", 5, 1));
  const auto stored =
      std::get<CheckpointStored>(Do(CommitCheckpoint{checkpoint.manifest}));
  EXPECT_FALSE(stored.status.ok());
  EXPECT_THAT(port_->List("a").value(), IsEmpty());
}

TEST_F(HostedCheckpointsTest, ANewEpochRemovesWhatTheOldOneLeft) {
  const CheckpointId id = TestCheckpointId("a", 5, 1);
  PutShards(MakeTestCheckpoint(id));
  const std::string folder = root_ + "/a/step-000000005.e0001";
  EXPECT_TRUE(std::filesystem::exists(folder));
  port_->Do(BeginStoreEpoch{"a", 2}, [](ClusterEvent) {});
  // Work is done in order: once this is answered, that is done.
  Do(ReadManifest{"a", id});
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(HostedCheckpointsTest, StraysOfJobsThatNobodyKnowsAreRemoved) {
  for (const char* job : {"known", "stray", "kept"}) {
    PutShards(MakeTestCheckpoint(TestCheckpointId(job, 5, 1)));
  }
  const TestCheckpoint kept =
      MakeTestCheckpoint(TestCheckpointId("kept", 5, 1));
  Do(CommitCheckpoint{kept.manifest});
  port_->RemoveStrays({"known"});
  Do(ReadManifest{"known", kept.manifest.id()});
  const auto is_there = [&](const std::string& job) {
    return std::filesystem::exists(
        absl::StrCat(root_, "/", job, "/step-000000005.e0001"));
  };
  EXPECT_TRUE(is_there("known"));
  EXPECT_FALSE(is_there("stray"));
  EXPECT_TRUE(is_there("kept"));
}

TEST_F(HostedCheckpointsTest, ServersAreToldAnAddressTheyCanDial) {
  EXPECT_THAT(port_->settings().address, ::testing::StartsWith("127.0.0.1:"));
  EXPECT_EQ(port_->settings().root, root_);
}

TEST_F(HostedCheckpointsTest, ASecondOwnerOfTheFolderIsRefused) {
  HostedCheckpointsOptions options;
  options.root = root_;
  options.key = "a key of the store's";
  const absl::Status second = OpenHostedCheckpoints(options).status();
  EXPECT_TRUE(absl::IsUnavailable(second)) << second;
  port_.reset();
  EXPECT_TRUE(OpenHostedCheckpoints(options).ok());
}

TEST(OpenHostedCheckpointsTest, ARootThatIsAFileIsRefused) {
  const std::string path = ::testing::TempDir() + "/a_file";
  const auto files = MakePosixFileSystem();
  ASSERT_TRUE(PublishFile(*files, path, "x").ok());
  HostedCheckpointsOptions options;
  options.root = path;
  options.key = "a key of the store's";
  const auto port = OpenHostedCheckpoints(options);
  EXPECT_FALSE(port.ok());
  EXPECT_THAT(port.status().message(), ::testing::HasSubstr(path));
}

// The store of another process, here of this one.
class RemoteCheckpointsTest : public ::testing::Test {
 protected:
  RemoteCheckpointsTest() : files_(MakePosixFileSystem()) {
    const std::string root = absl::StrCat(
        ::testing::TempDir(), "/",
        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(root);
    store_ = std::make_unique<CheckpointStore>(
        CheckpointStore::Open(*files_, root).value());
    TransferServer::Options options;
    options.key = kKey;
    options.owned_store = store_.get();
    server_ = TransferServer::Start(*files_, root, options).value();
  }

  absl::StatusOr<std::unique_ptr<CheckpointPort>> Open(const std::string& key) {
    RemoteCheckpointsOptions options;
    options.address = server_->address();
    options.key = key;
    options.patience = absl::Milliseconds(500);
    return OpenRemoteCheckpoints(options);
  }

  static constexpr char kKey[] = "0123456789abcdef";
  const std::unique_ptr<FileSystem> files_;
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<TransferServer> server_;
};

TEST_F(RemoteCheckpointsTest, WhatServersSendThereIsCommittedAndRead) {
  const auto port = Open(kKey);
  ASSERT_TRUE(port.ok()) << port.status();
  const CheckpointStoreSettings settings = (*port)->settings();
  EXPECT_EQ(settings.address, server_->address());
  EXPECT_EQ(settings.root, "");
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("a", 5, 1));
  TransferClientOptions client;
  client.address = settings.address;
  client.token = MakeTransferToken(settings.key, {"a", 1});
  PutShards(*MakeTransferShardStore(client, SystemClock()), checkpoint);
  const auto stored = std::get<CheckpointStored>(
      Do(**port, CommitCheckpoint{checkpoint.manifest}));
  ASSERT_TRUE(stored.status.ok()) << stored.status;
  EXPECT_THAT((*port)->List("a").value(), SizeIs(1));
  EXPECT_EQ((*(*port)->ReadNow(stored.id))->files_size(),
            checkpoint.manifest.files_size());
  // Garbage of an epoch before goes there too.
  PutShards(*MakeTransferShardStore(client, SystemClock()),
            MakeTestCheckpoint(TestCheckpointId("a", 6, 1)));
  (*port)->Do(BeginStoreEpoch{"a", 2}, [](ClusterEvent) {});
  Do(**port, ReadManifest{"a", stored.id});
  EXPECT_THAT(store_->List("a").value(), SizeIs(1));
}

TEST_F(RemoteCheckpointsTest, AnotherKeyIsSaid) {
  const absl::Status refused = Open("fedcba9876543210").status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
  EXPECT_THAT(refused.message(), ::testing::HasSubstr("the same key file"));
}

TEST_F(RemoteCheckpointsTest, AStoreThatIsNotThereIsNamed) {
  server_->Stop();
  const absl::Status refused = Open(kKey).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(refused.message(), ::testing::HasSubstr(server_->address()));
}

}  // namespace
}  // namespace penstock
