#include "checkpoint/exchange/export_weights.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ExportWeightsTest : public ::testing::Test {
 protected:
  ExportWeightsTest() {
    const std::string folder = CheckpointPath("/r", checkpoint_.manifest.id());
    EXPECT_EQ(files_.MakeFolder(folder), absl::OkStatus());
    for (const auto& [name, content] : checkpoint_.shards) {
      Publish(absl::StrCat(folder, "/", name), content);
    }
    Publish(absl::StrCat(folder, "/", kCommitFile), "x");
  }

  void Publish(const std::string& path, absl::string_view content) {
    EXPECT_EQ(PublishFile(files_, path, content), absl::OkStatus());
  }
  absl::Status Export() {
    return ExportWeights(*store_, checkpoint_.manifest, files_, "/out",
                         nullptr);
  }

  FaultyFileSystem files_;
  const TestCheckpoint checkpoint_ =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  const std::unique_ptr<ShardStore> store_ =
      MakeDirectoryShardStore(files_, "/r");
};

TEST_F(ExportWeightsTest, CopiesWeightsAndTheirIndex) {
  ASSERT_EQ(Export(), absl::OkStatus());
  EXPECT_THAT(*files_.List("/out"),
              ElementsAre("l0000-h0.w.safetensors", "l0001-h1.w.safetensors",
                          "model.safetensors.index.json"));
  EXPECT_EQ(*ReadWholeFile(files_, "/out/l0001-h1.w.safetensors"),
            checkpoint_.shards.at("l0001-h1.w.safetensors"));
  EXPECT_THAT(*ReadWholeFile(files_, "/out/model.safetensors.index.json"),
              HasSubstr("\"h0.bias\": \"l0000-h0.w.safetensors\""));
}

TEST_F(ExportWeightsTest, AFolderThatIsNotEmptyIsRefused) {
  ASSERT_EQ(files_.MakeFolder("/out"), absl::OkStatus());
  Publish("/out/mine", "x");
  const absl::Status status = Export();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"mine\""));
  EXPECT_THAT(*files_.List("/out"), ElementsAre("mine"));
}

TEST_F(ExportWeightsTest, ADamagedFileIsNamedAndLeavesNoIndex) {
  std::string damaged = checkpoint_.shards.at("l0001-h1.w.safetensors");
  damaged.back() ^= 1;
  Publish(absl::StrCat(CheckpointPath("/r", checkpoint_.manifest.id()),
                       "/l0001-h1.w.safetensors"),
          damaged);
  const absl::Status status = Export();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("l0001-h1.w.safetensors"));
  EXPECT_TRUE(absl::IsNotFound(
      files_.KindOf("/out/model.safetensors.index.json").status()));
}

TEST_F(ExportWeightsTest, ReportsAndCanBeEnded) {
  int64_t last = 0;
  const absl::Status status =
      ExportWeights(*store_, checkpoint_.manifest, files_, "/out",
                    [&](int64_t done_bytes, int64_t total_bytes) {
                      EXPECT_GT(done_bytes, last);
                      EXPECT_LT(done_bytes, total_bytes);
                      last = done_bytes;
                      return false;
                    });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_F(ExportWeightsTest, EveryFaultIsSaid) {
  for (int operation = 0;; ++operation) {
    for (const char* name : {"l0000-h0.w.safetensors", "l0001-h1.w.safetensors",
                             "model.safetensors.index.json",
                             "model.safetensors.index.json.part"}) {
      ASSERT_EQ(files_.Remove(absl::StrCat("/out/", name)), absl::OkStatus());
    }
    const int64_t before = files_.num_operations();
    files_.FailAt(operation, FileFault::kNoSpace);
    const absl::Status status = Export();
    if (files_.num_operations() - before <= operation) {
      EXPECT_EQ(status, absl::OkStatus());
      break;
    }
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << operation << status;
  }
}

}  // namespace
}  // namespace penstock
