// TransferServer and TransferShardStore, one against the other.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/transfer/token.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kKey[] = "0123456789abcdef";
constexpr char kFile[] = "l0000-embed.w.safetensors";
constexpr int64_t kMiB = int64_t{1} << 20;

std::string Pattern(int64_t size_bytes, uint64_t seed = 1) {
  std::string bytes(size_bytes, '\0');
  uint64_t word = seed;
  for (char& c : bytes) {
    word = word * 6364136223846793005 + 1442695040888963407;
    c = static_cast<char>(word >> 56);
  }
  return bytes;
}

class TransferTest : public ::testing::Test {
 protected:
  TransferTest() {
    EXPECT_EQ(files_.MakeFolder("/r"), absl::OkStatus());
    StartServer("127.0.0.1:0");
  }

  void StartServer(const std::string& address) {
    TransferServer::Options options;
    options.address = address;
    options.key = kKey;
    auto server = TransferServer::Start(files_, "/r", options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = server_->address();
  }

  TransferClientOptions Options(int64_t epoch = 1) const {
    TransferClientOptions options;
    options.address = address_;
    options.token = MakeTransferToken(kKey, {"job", epoch});
    return options;
  }
  std::unique_ptr<ShardStore> Connect(TransferClientOptions options) const {
    return MakeTransferShardStore(std::move(options), SystemClock());
  }

  absl::Status Write(ShardStore& store, const std::string& file,
                     absl::string_view content) {
    auto upload = store.Begin(id_, file, content.size());
    if (!upload.ok()) return upload.status();
    const absl::Status appended = (*upload)->Append(content);
    if (!appended.ok()) return appended;
    const auto stored = (*upload)->Finish();
    if (!stored.ok()) return stored.status();
    EXPECT_EQ(stored->crc32c, Crc32c(content));
    EXPECT_EQ(stored->size_bytes, static_cast<int64_t>(content.size()));
    return absl::OkStatus();
  }
  std::string PathOf(absl::string_view file) const {
    return absl::StrCat(CheckpointPath("/r", id_), "/", file);
  }
  std::string Content(absl::string_view file) const {
    return ReadWholeFile(files_, PathOf(file)).value_or("?");
  }
  void Commit() {
    ASSERT_EQ(PublishFile(files_, PathOf(kCommitFile), "x"), absl::OkStatus());
  }

  FaultyFileSystem files_;
  std::unique_ptr<TransferServer> server_;
  std::string address_;
  const CheckpointId id_ = TestCheckpointId("job", 5, 1);
};

TEST_F(TransferTest, WhatWasSentIsThereAndReadBack) {
  const auto store = Connect(Options());
  const std::string content = Pattern(3 * kMiB + 17);
  ASSERT_EQ(Write(*store, kFile, content), absl::OkStatus());
  EXPECT_TRUE(Content(kFile) == content);
  Commit();
  const auto all = store->Read(id_, kFile, 0, content.size());
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(*all == content);
  EXPECT_EQ(store->Read(id_, kFile, kMiB - 3, 7).value_or("?"),
            content.substr(kMiB - 3, 7));
  EXPECT_EQ(store->Read(id_, kFile, 5, 0).value_or("?"), "");
}

TEST_F(TransferTest, FilesOfEverySizeArrive) {
  const auto store = Connect(Options());
  int layer = 0;
  for (const int64_t size :
       {int64_t{0}, int64_t{1}, kMiB - 1, kMiB, kMiB + 1, 2 * kMiB}) {
    const std::string content = Pattern(size, size);
    const std::string file = ShardFileName(layer++, "h", ShardFile::WEIGHTS);
    ASSERT_EQ(Write(*store, file, content), absl::OkStatus()) << size;
    EXPECT_TRUE(Content(file) == content) << size;
  }
}

TEST_F(TransferTest, PiecesOfAnySizeMakeTheFile) {
  const auto store = Connect(Options());
  const std::string content = Pattern(3 * kMiB);
  auto upload = store->Begin(id_, kFile, content.size());
  ASSERT_TRUE(upload.ok()) << upload.status();
  absl::string_view rest = content;
  for (size_t size = 1; !rest.empty(); size = size * 3 + 1) {
    ASSERT_EQ((*upload)->Append(rest.substr(0, size)), absl::OkStatus());
    rest.remove_prefix(std::min(size, rest.size()));
  }
  ASSERT_TRUE((*upload)->Finish().ok());
  EXPECT_TRUE(Content(kFile) == content);
}

TEST_F(TransferTest, AFileThatIsThereIsReplaced) {
  const auto store = Connect(Options());
  ASSERT_EQ(Write(*store, kFile, "old"), absl::OkStatus());
  ASSERT_EQ(Write(*store, kFile, "new"), absl::OkStatus());
  EXPECT_EQ(Content(kFile), "new");
}

TEST_F(TransferTest, AServerThatEndsInTheMiddleIsGoneOnWith) {
  const std::string content = Pattern(34 * kMiB);
  for (const int64_t cut : {0 * kMiB, 3 * kMiB, 17 * kMiB, 33 * kMiB}) {
    const auto store = Connect(Options());
    auto upload = store->Begin(id_, kFile, content.size());
    ASSERT_TRUE(upload.ok()) << upload.status();
    const absl::string_view whole = content;
    ASSERT_EQ((*upload)->Append(whole.substr(0, cut)), absl::OkStatus());
    server_->Stop();
    StartServer(address_);
    ASSERT_EQ((*upload)->Append(whole.substr(cut)), absl::OkStatus());
    const auto stored = (*upload)->Finish();
    ASSERT_TRUE(stored.ok()) << cut << stored.status();
    EXPECT_TRUE(Content(kFile) == content) << cut;
  }
}

TEST_F(TransferTest, ReadingGoesOnAfterAServerThatEnds) {
  const auto store = Connect(Options());
  const std::string content = Pattern(2 * kMiB);
  ASSERT_EQ(Write(*store, kFile, content), absl::OkStatus());
  Commit();
  server_->Stop();
  std::thread restart([&] { StartServer(address_); });
  const auto read = store->Read(id_, kFile, 0, content.size());
  restart.join();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == content);
}

TEST_F(TransferTest, AServerThatStaysAwayIsSaidToBeGone) {
  server_->Stop();
  TransferClientOptions options = Options();
  options.patience = absl::Milliseconds(300);
  const auto store = Connect(options);
  absl::Status status = Write(*store, kFile, "content");
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(address_));
  EXPECT_THAT(std::string(status.message()), HasSubstr("300ms"));
  status = store->Read(id_, kFile, 0, 1).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_F(TransferTest, ACancellationEndsWhatWaits) {
  server_->Stop();
  const auto store = Connect(Options());
  const absl::Status why = absl::AbortedError("the epoch is over");
  std::thread cancel([&] { store->Cancel(why); });
  EXPECT_EQ(Write(*store, kFile, "content"), why);
  cancel.join();
  EXPECT_EQ(store->Read(id_, kFile, 0, 1).status(), why);
  EXPECT_EQ(store->Begin(id_, kFile, 1).status(), why);
}

TEST_F(TransferTest, AnUploadMayBeGivenUp) {
  const auto store = Connect(Options());
  for (const int64_t size : {int64_t{0}, kMiB, 5 * kMiB}) {
    auto upload = store->Begin(id_, kFile, 10 * kMiB);
    ASSERT_TRUE(upload.ok()) << upload.status();
    ASSERT_EQ((*upload)->Append(Pattern(size)), absl::OkStatus());
  }
  EXPECT_EQ(Write(*store, kFile, "content"), absl::OkStatus());
}

// More files at once than may be under way: each waits for the others'
// acknowledgements, none of which would come by itself.
TEST_F(TransferTest, ManyUploadsShareWhatMayBeUnderWay) {
  constexpr int kFiles = 6;
  TransferClientOptions options = Options();
  options.max_unacked_bytes = 2 * kMiB;
  const auto store = Connect(options);
  const std::string content = Pattern(3 * kMiB);
  std::vector<std::unique_ptr<ShardUpload>> uploads;
  for (int i = 0; i < kFiles; ++i) {
    auto upload = store->Begin(id_, ShardFileName(i, "h", ShardFile::WEIGHTS),
                               content.size());
    ASSERT_TRUE(upload.ok()) << upload.status();
    uploads.push_back(*std::move(upload));
  }
  for (int64_t offset = 0; offset < 3 * kMiB; offset += kMiB) {
    for (const auto& upload : uploads) {
      ASSERT_EQ(upload->Append(content.substr(offset, kMiB)), absl::OkStatus());
    }
  }
  for (const auto& upload : uploads) {
    const auto stored = upload->Finish();
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(stored->crc32c, Crc32c(content));
  }
}

TEST_F(TransferTest, ThreadsUploadSideBySide) {
  TransferClientOptions options = Options();
  options.max_unacked_bytes = 3 * kMiB;
  const auto store = Connect(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string file = ShardFileName(i, "h", ShardFile::WEIGHTS);
      const std::string content = Pattern(20 * kMiB, i);
      EXPECT_EQ(Write(*store, file, content), absl::OkStatus());
      EXPECT_TRUE(Content(file) == content);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(TransferTest, AFullDiskIsSaidAndNotTriedAgain) {
  const auto store = Connect(Options());
  auto upload = store->Begin(id_, kFile, 1);
  ASSERT_TRUE(upload.ok());
  files_.FailAt(0, FileFault::kNoSpace);
  (*upload)->Append("x").IgnoreError();
  const absl::Status status = (*upload)->Finish().status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(kFile));
}

TEST_F(TransferTest, ADiskThatFailsOnceIsTriedAgain) {
  const auto store = Connect(Options());
  for (int operation = 0; operation < 12; ++operation) {
    files_.FailAt(operation, FileFault::kIoError);
    EXPECT_EQ(Write(*store, kFile, "content"), absl::OkStatus()) << operation;
    // If it has not come to it.
    files_.FailAt(INT32_MAX, FileFault::kIoError);
    EXPECT_EQ(Content(kFile), "content");
  }
}

TEST_F(TransferTest, OnlyTheEpochsTokenWrites) {
  TransferClientOptions options = Options();
  options.token = "";
  EXPECT_TRUE(
      absl::IsPermissionDenied(Write(*Connect(options), kFile, "content")));
  options.token = MakeTransferToken("another key, long", {"job", 1});
  EXPECT_TRUE(
      absl::IsPermissionDenied(Write(*Connect(options), kFile, "content")));
  options.token = MakeTransferToken(kKey, {"other", 1});
  EXPECT_TRUE(
      absl::IsPermissionDenied(Write(*Connect(options), kFile, "content")));
  EXPECT_TRUE(absl::IsPermissionDenied(
      Write(*Connect(Options(/*epoch=*/2)), kFile, "content")));
}

TEST_F(TransferTest, AnyJobsTokenReads) {
  ASSERT_EQ(Write(*Connect(Options()), kFile, "content"), absl::OkStatus());
  Commit();
  TransferClientOptions options = Options();
  options.token = MakeTransferToken(kKey, {"other", 9});
  EXPECT_EQ(Connect(options)->Read(id_, kFile, 0, 7).value_or("?"), "content");
  options.token = "";
  EXPECT_TRUE(absl::IsPermissionDenied(
      Connect(options)->Read(id_, kFile, 0, 7).status()));
}

TEST_F(TransferTest, AnEpochThatIsOverWritesNoMore) {
  const auto store = Connect(Options());
  auto upload = store->Begin(id_, kFile, 2 * kMiB);
  ASSERT_TRUE(upload.ok());
  ASSERT_EQ((*upload)->Append(Pattern(kMiB)), absl::OkStatus());
  server_->BeginEpoch("job", 2);
  (*upload)->Append(Pattern(kMiB)).IgnoreError();
  const absl::Status status = (*upload)->Finish().status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_TRUE(absl::IsAborted(Write(*store, kFile, "content")));
}

TEST_F(TransferTest, ANewerEpochsTokenEndsTheOneBefore) {
  const auto old = Connect(Options());
  ASSERT_EQ(Write(*old, kFile, "content"), absl::OkStatus());
  const auto newer = Connect(Options(/*epoch=*/2));
  auto upload = newer->Begin(TestCheckpointId("job", 5, 2), kFile, 0);
  ASSERT_TRUE(upload.ok());
  ASSERT_TRUE((*upload)->Finish().ok());
  EXPECT_TRUE(absl::IsAborted(Write(*old, kFile, "content")));
}

TEST_F(TransferTest, ACommittedCheckpointTakesNoFiles) {
  const auto store = Connect(Options());
  ASSERT_EQ(Write(*store, kFile, "content"), absl::OkStatus());
  Commit();
  EXPECT_TRUE(absl::IsFailedPrecondition(Write(*store, kFile, "other")));
  EXPECT_EQ(Content(kFile), "content");
}

TEST_F(TransferTest, SaysWhatCannotBeRead) {
  const auto store = Connect(Options());
  EXPECT_TRUE(absl::IsNotFound(store->Read(id_, kFile, 0, 1).status()));
  ASSERT_EQ(Write(*store, kFile, "content"), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(store->Read(id_, kFile, 0, 1).status()));
  Commit();
  EXPECT_TRUE(absl::IsOutOfRange(store->Read(id_, kFile, 4, 4).status()));
  EXPECT_TRUE(absl::IsOutOfRange(store->Read(id_, kFile, -1, 1).status()));
  EXPECT_TRUE(absl::IsOutOfRange(store->Read(id_, kFile, 0, -1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store->Read(id_, "../x", 0, 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      store->Read(TestCheckpointId("..", 5, 1), kFile, 0, 1).status()));
}

TEST_F(TransferTest, NamesAndSizesThatCannotBeAreRefused) {
  const auto store = Connect(Options());
  EXPECT_TRUE(absl::IsInvalidArgument(store->Begin(id_, "../x", 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store->Begin(id_, kFile, -1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      store->Begin(TestCheckpointId("a/b", 5, 1), kFile, 1).status()));
  auto upload = store->Begin(id_, kFile, 2);
  ASSERT_TRUE(upload.ok());
  EXPECT_TRUE(absl::IsInvalidArgument((*upload)->Append("abc")));
  ASSERT_EQ((*upload)->Append("a"), absl::OkStatus());
  EXPECT_TRUE(absl::IsInvalidArgument((*upload)->Finish().status()));
}

TEST(TransferServerTest, AnAddressThatIsTakenIsRefused) {
  FaultyFileSystem files;
  TransferServer::Options options;
  options.key = kKey;
  auto first = TransferServer::Start(files, "/r", options);
  ASSERT_TRUE(first.ok()) << first.status();
  options.address = (*first)->address();
  const absl::Status status =
      TransferServer::Start(files, "/r", options).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(options.address));
}

}  // namespace
}  // namespace penstock
