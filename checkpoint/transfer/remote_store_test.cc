// A store of another process, as its owner and its servers use it.

#include "checkpoint/transfer/remote_store.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/transfer/token.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kKey[] = "0123456789abcdef";

class RemoteStoreTest : public ::testing::Test {
 protected:
  RemoteStoreTest() {
    auto folder = CheckpointStore::Open(files_, "/r");
    EXPECT_TRUE(folder.ok()) << folder.status();
    folder_ = std::make_unique<CheckpointStore>(*std::move(folder));
    TransferServer::Options options;
    options.key = kKey;
    options.owned_store = folder_.get();
    auto server = TransferServer::Start(files_, "/r", options);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    store_ = Connect(kKey);
  }

  std::unique_ptr<CommitStore> Connect(
      const std::string& key,
      absl::Duration patience = absl::Seconds(60)) const {
    return MakeRemoteStore({server_->address(), key, patience}, SystemClock());
  }
  std::unique_ptr<ShardStore> Shards(int64_t epoch) const {
    TransferClientOptions options;
    options.address = server_->address();
    options.token = MakeTransferToken(kKey, {"job", epoch});
    return MakeTransferShardStore(options, SystemClock());
  }

  // Its shards, sent as stage servers do.
  TestCheckpoint Send(int64_t step, int64_t epoch) {
    TestCheckpoint checkpoint =
        MakeTestCheckpoint(TestCheckpointId("job", step, epoch));
    const auto shards = Shards(epoch);
    for (const auto& [name, content] : checkpoint.shards) {
      auto upload =
          shards->Begin(checkpoint.manifest.id(), name, content.size());
      EXPECT_TRUE(upload.ok()) << upload.status();
      EXPECT_EQ((*upload)->Append(content), absl::OkStatus());
      EXPECT_TRUE((*upload)->Finish().ok());
    }
    return checkpoint;
  }

  FaultyFileSystem files_;
  std::unique_ptr<CheckpointStore> folder_;
  std::unique_ptr<TransferServer> server_;
  std::unique_ptr<CommitStore> store_;
};

TEST_F(RemoteStoreTest, WhatWasSentIsCommittedReadAndVerified) {
  const TestCheckpoint checkpoint = Send(5, 1);
  const CheckpointId& id = checkpoint.manifest.id();
  ASSERT_EQ(store_->List("job")->size(), 1u);
  EXPECT_EQ(store_->List("job")->front().state,
            StoredCheckpointState::kUncommitted);
  ASSERT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  EXPECT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  EXPECT_EQ(store_->List("job")->front().state,
            StoredCheckpointState::kCommitted);
  EXPECT_THAT(*store_->ListJobs(), ElementsAre("job"));
  const auto manifest = store_->Read(id);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->SerializeAsString(),
            checkpoint.manifest.SerializeAsString());
  int64_t done = 0;
  int64_t total = 0;
  EXPECT_EQ(store_->Verify(id,
                           [&](const CommitStore::Progress& progress) {
                             done = progress.done_bytes;
                             total = progress.total_bytes;
                             return true;
                           }),
            absl::OkStatus());
  EXPECT_GT(total, 0);
  EXPECT_EQ(done, total);
  EXPECT_TRUE(absl::IsCancelled(
      store_->Verify(id, [](const CommitStore::Progress&) { return false; })));
  ASSERT_EQ(store_->Delete(id), absl::OkStatus());
  EXPECT_THAT(*store_->List("job"), IsEmpty());
}

TEST_F(RemoteStoreTest, ErrorsAreTheStoresOwn) {
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->Commit(checkpoint.manifest)));
  EXPECT_TRUE(
      absl::IsNotFound(store_->Read(checkpoint.manifest.id()).status()));
  EXPECT_TRUE(
      absl::IsNotFound(store_->Verify(checkpoint.manifest.id(), nullptr)));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->List("..").status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(store_->Delete(TestCheckpointId("..", 5, 1))));
}

TEST_F(RemoteStoreTest, ANewEpochEndsTheUploadsAndTheGarbageOfTheOneBefore) {
  const auto old = Shards(1);
  Send(5, 1);
  const auto removed = store_->CollectGarbage("job", /*live_epoch=*/2);
  ASSERT_TRUE(removed.ok()) << removed.status();
  ASSERT_EQ(removed->size(), 1u);
  EXPECT_EQ(removed->front().epoch(), 1);
  auto upload =
      old->Begin(TestCheckpointId("job", 6, 1), "l0000-h0.w.safetensors", 0);
  ASSERT_TRUE(upload.ok());
  EXPECT_TRUE(absl::IsAborted((*upload)->Finish().status()));
}

TEST_F(RemoteStoreTest, OnlyTheOwnerIsListenedTo) {
  const auto stranger = Connect("another key, long");
  const CheckpointId id = TestCheckpointId("job", 5, 1);
  EXPECT_TRUE(absl::IsPermissionDenied(stranger->ListJobs().status()));
  EXPECT_TRUE(absl::IsPermissionDenied(stranger->List("job").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(stranger->Read(id).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(stranger->Commit({})));
  EXPECT_TRUE(absl::IsPermissionDenied(stranger->Verify(id, nullptr)));
  EXPECT_TRUE(absl::IsPermissionDenied(stranger->Delete(id)));
  EXPECT_TRUE(
      absl::IsPermissionDenied(stranger->CollectGarbage("job", 9).status()));
}

TEST_F(RemoteStoreTest, AStoreThatStaysAwayIsSaidToBeGone) {
  const auto store = Connect(kKey, absl::Milliseconds(200));
  server_->Stop();
  const absl::Status status = store->ListJobs().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(server_->address()));
}

}  // namespace
}  // namespace penstock
