#include "coordinator/service/hosted_checkpoints.h"

#include <filesystem>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

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
    const auto store = MakeDirectoryShardStore(*files_, root_);
    for (const auto& [name, bytes] : checkpoint.shards) {
      auto upload =
          store->Begin(checkpoint.manifest.id(), name, bytes.size()).value();
      ASSERT_TRUE(upload->Append(bytes).ok());
      ASSERT_TRUE(upload->Finish().ok());
    }
  }

  ClusterEvent Do(CheckpointWork work) {
    ClusterEvent answer;
    absl::Notification done;
    port_->Do(std::move(work), [&](ClusterEvent event) {
      answer = std::move(event);
      done.Notify();
    });
    done.WaitForNotification();
    return answer;
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

TEST_F(HostedCheckpointsTest, ServersAreToldAnAddressTheyCanDial) {
  EXPECT_THAT(port_->settings().address, ::testing::StartsWith("127.0.0.1:"));
  EXPECT_EQ(port_->settings().root, root_);
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

}  // namespace
}  // namespace penstock
