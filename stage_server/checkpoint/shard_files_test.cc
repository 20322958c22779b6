#include "stage_server/checkpoint/shard_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/crc32c.h"
#include "checkpoint/safetensors/header.h"
#include "stage_server/checkpoint/memory_shard_store.h"
#include "stage_server/checkpoint/test_snapshot.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::Status Go() { return absl::OkStatus(); }

class ShardFilesTest : public ::testing::Test {
 protected:
  std::string Stored(const ShardFile& file) {
    MutexLock lock(&memory_->mutex);
    return memory_->files["job-1/4/" + file.name()];
  }

  const std::shared_ptr<ShardMemory> memory_ = std::make_shared<ShardMemory>();
  const std::unique_ptr<ShardStore> store_ = MakeMemoryShardStore(memory_);
};

TEST_F(ShardFilesTest, ThereIsOneForEachLayerAndKind) {
  const EngineSnapshot snapshot = TestSnapshot();
  const auto files = FilesOf(snapshot);
  ASSERT_TRUE(files.ok()) << files.status();
  std::vector<std::string> names;
  for (const SnapshotFile& file : *files) names.push_back(file.file.name());
  EXPECT_THAT(names, ElementsAre("l0000-embed.w.safetensors",
                                 "l0000-embed.opt.safetensors",
                                 "l0002-h0.norm.w.safetensors",
                                 "l0002-h0.norm.old.safetensors"));
  EXPECT_EQ((*files)[2].file.layer(), 2);
  EXPECT_EQ((*files)[2].file.layer_name(), "h0.norm");
  EXPECT_EQ((*files)[3].file.kind(), ShardFile::OLDER_VERSIONS);
  EXPECT_EQ((*files)[3].file.tensors(0).type(), "BF16");
}

TEST_F(ShardFilesTest, WhatIsStoredIsASafetensorsFileOfTheSnapshot) {
  const EngineSnapshot snapshot = TestSnapshot();
  const auto files = FilesOf(snapshot);
  ASSERT_TRUE(files.ok()) << files.status();
  size_t entry = 0;
  for (const SnapshotFile& file : *files) {
    const auto stored = WriteFile(file, TestCheckpoint(), *store_, Go);
    ASSERT_TRUE(stored.ok()) << stored.status();
    const std::string content = Stored(*stored);
    const auto size = static_cast<int64_t>(content.size());
    EXPECT_EQ(stored->size_bytes(), size);
    EXPECT_EQ(stored->crc32c(), Crc32c(content));
    const auto length = ParseHeaderLength(content.substr(0, 8), size);
    ASSERT_TRUE(length.ok()) << length.status();
    const int64_t data = kHeaderLengthBytes + *length;
    const auto header = ParseHeader(content.substr(8, *length), size - data);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->metadata.at("format"), "pt");
    ASSERT_EQ(static_cast<int>(header->tensors.size()), stored->tensors_size());
    for (int i = 0; i < stored->tensors_size(); ++i, ++entry) {
      const ShardTensor& tensor = stored->tensors(i);
      const EngineSnapshot::Entry& want = snapshot.tensors[entry];
      EXPECT_EQ(tensor.name(), want.tensor.name);
      EXPECT_EQ(header->tensors[i].name, tensor.name());
      EXPECT_EQ(data + header->tensors[i].begin, tensor.offset_bytes());
      const std::string bytes =
          content.substr(tensor.offset_bytes(), tensor.size_bytes());
      EXPECT_EQ(bytes, absl::string_view(
                           reinterpret_cast<const char*>(want.bytes.data()),
                           want.bytes.size()));
      EXPECT_EQ(tensor.crc32c(), Crc32c(bytes));
    }
  }
  EXPECT_EQ(entry, snapshot.tensors.size());
}

TEST_F(ShardFilesTest, ATensorBeyondOnePieceHasTheChecksumOfAllOfIt) {
  const EngineSnapshot snapshot = TestSnapshot(/*scale=*/400'000);
  const auto files = FilesOf(snapshot);
  ASSERT_TRUE(files.ok()) << files.status();
  const auto stored = WriteFile(files->front(), TestCheckpoint(), *store_, Go);
  ASSERT_TRUE(stored.ok()) << stored.status();
  const ShardTensor& tensor = stored->tensors(0);
  EXPECT_EQ(tensor.size_bytes(), 9'600'000);
  EXPECT_EQ(tensor.crc32c(), Crc32c(Stored(*stored).substr(
                                 tensor.offset_bytes(), tensor.size_bytes())));
}

TEST_F(ShardFilesTest, AnInterruptionEndsTheUpload) {
  const EngineSnapshot snapshot = TestSnapshot();
  const auto files = FilesOf(snapshot);
  ASSERT_TRUE(files.ok()) << files.status();
  const auto stored = WriteFile(files->front(), TestCheckpoint(), *store_, [] {
    return absl::CancelledError("given up");
  });
  EXPECT_EQ(stored.status().code(), absl::StatusCode::kCancelled);
  MutexLock lock(&memory_->mutex);
  EXPECT_TRUE(memory_->files.empty());
}

TEST_F(ShardFilesTest, AnErrorOfTheStoreNamesTheFile) {
  const EngineSnapshot snapshot = TestSnapshot();
  const auto files = FilesOf(snapshot);
  ASSERT_TRUE(files.ok()) << files.status();
  {
    MutexLock lock(&memory_->mutex);
    memory_->append_status = absl::ResourceExhaustedError("no space");
    memory_->appends_before_status = 1;
  }
  const auto stored = WriteFile(files->front(), TestCheckpoint(), *store_, Go);
  EXPECT_EQ(stored.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(stored.status().message()),
              HasSubstr("storing l0000-embed.w.safetensors: no space"));
}

TEST_F(ShardFilesTest, AnotherChecksumInTheStoreIsDataLoss) {
  const EngineSnapshot snapshot = TestSnapshot();
  const auto files = FilesOf(snapshot);
  ASSERT_TRUE(files.ok()) << files.status();
  {
    MutexLock lock(&memory_->mutex);
    memory_->checksum_error = 1;
  }
  const auto stored = WriteFile(files->front(), TestCheckpoint(), *store_, Go);
  EXPECT_EQ(stored.status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace penstock
