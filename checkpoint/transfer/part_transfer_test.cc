// A TransferServer of ranks' parts, and its clients.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "checkpoint/files/memory_file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/transfer/token.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kFile[] = "l0000-embed.w.safetensors";
constexpr char kKey[] = "0123456789abcdef";

class Keeper : public PartKeeper {
 public:
  absl::Status CheckToken(absl::string_view token,
                          const std::string& job_id) const override {
    if (token == "secret" && job_id == "job") return absl::OkStatus();
    return absl::PermissionDeniedError("not told");
  }
  void PartStored(const CheckpointId& checkpoint, int rank) override {
    MutexLock lock(&mutex_);
    stored_.emplace_back(checkpoint.step(), rank);
  }
  std::vector<std::pair<int64_t, int>> stored() {
    MutexLock lock(&mutex_);
    return stored_;
  }

 private:
  Mutex mutex_;
  std::vector<std::pair<int64_t, int>> stored_ ABSL_GUARDED_BY(mutex_);
};

class PartTransferTest : public ::testing::Test {
 protected:
  PartTransferTest() {
    EXPECT_EQ(files_->MakeFolder("/r"), absl::OkStatus());
    TransferServer::Options options;
    options.parts = &keeper_;
    server_ = TransferServer::Start(*files_, "/r", options).value();
  }

  std::unique_ptr<ShardStore> Client(std::optional<int> rank,
                                     const std::string& token = "secret") {
    TransferClientOptions options;
    options.address = server_->address();
    options.token = token;
    options.rank = rank;
    options.patience = absl::Seconds(10);
    return MakeTransferShardStore(std::move(options), SystemClock());
  }
  static absl::Status Put(ShardStore& store, const CheckpointId& id,
                          const std::string& file, const std::string& content) {
    auto upload = store.Begin(id, file, content.size());
    if (!upload.ok()) return upload.status();
    const absl::Status appended = (*upload)->Append(content);
    return appended.ok() ? (*upload)->Finish().status() : appended;
  }

  const std::unique_ptr<FileSystem> files_ = MakeMemoryFileSystem();
  Keeper keeper_;
  std::unique_ptr<TransferServer> server_;
  const CheckpointId id_ = TestCheckpointId("job", 5, 1);
};

TEST_F(PartTransferTest, APartIsReadOnceItIsWholeAndIsItsRanksOwn) {
  const auto zero = Client(0), one = Client(1);
  ASSERT_EQ(Put(*zero, id_, kFile, "of zero"), absl::OkStatus());
  ASSERT_EQ(Put(*one, id_, kFile, "of one"), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(one->Read(id_, kFile, 0, 6).status()));
  EXPECT_THAT(keeper_.stored(), ElementsAre());
  ASSERT_EQ(Put(*one, id_, kPartFile, "record"), absl::OkStatus());
  EXPECT_THAT(keeper_.stored(), ElementsAre(std::pair<int64_t, int>(5, 1)));
  EXPECT_EQ(one->Read(id_, kFile, 0, 6).value_or("?"), "of one");
  EXPECT_EQ(one->Read(id_, kPartFile, 0, 6).value_or("?"), "record");
  EXPECT_TRUE(absl::IsNotFound(zero->Read(id_, kFile, 0, 7).status()));
}

TEST_F(PartTransferTest, WhoWasNotToldTheTokenNeitherWritesNorReads) {
  const auto client = Client(0, "guess");
  EXPECT_TRUE(absl::IsPermissionDenied(Put(*client, id_, kFile, "x")));
  EXPECT_TRUE(
      absl::IsPermissionDenied(client->Read(id_, kFile, 0, 1).status()));
  const CheckpointId other = TestCheckpointId("other", 5, 1);
  EXPECT_TRUE(absl::IsPermissionDenied(Put(*Client(0), other, kFile, "x")));
  EXPECT_TRUE(
      absl::IsPermissionDenied(Client(0)->Read(other, kFile, 0, 1).status()));
}

TEST_F(PartTransferTest, APartIsOfARank) {
  for (const std::optional<int> rank : {std::optional<int>(), {-1}}) {
    const auto client = Client(rank);
    const absl::Status status = Put(*client, id_, kFile, "x");
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("ranks' parts"));
    EXPECT_TRUE(
        absl::IsInvalidArgument(client->Read(id_, kFile, 0, 1).status()));
  }
}

TEST_F(PartTransferTest, ACheckpointIsOfNoRank) {
  TransferServer::Options options;
  options.key = kKey;
  server_ = TransferServer::Start(*files_, "/r", options).value();
  const auto client = Client(0, MakeTransferToken(kKey, {"job", 1}));
  const absl::Status status = Put(*client, id_, kFile, "x");
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("of no rank"));
}

TEST_F(PartTransferTest, AnOlderEpochsUploadsAreRefusedOnceANewerOneHasCome) {
  const CheckpointId newer = TestCheckpointId("job", 5, 2);
  ASSERT_EQ(Put(*Client(0), newer, kFile, "x"), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted(Put(*Client(1), id_, kFile, "x")));
}

}  // namespace
}  // namespace penstock
