#include "checkpoint/exchange/gpt2.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "checkpoint/exchange/import_weights.h"
#include "checkpoint/exchange/test_gpt_checkpoint.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/safetensors/header.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "checkpoint/store/checkpoint_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Gpt2TensorTest, EveryParameterOfAGptHasAPlace) {
  for (const ExpectedLayer& layer : TestGptLayers({})) {
    for (const ExpectedLayer::Tensor& tensor : layer.tensors) {
      EXPECT_TRUE(Gpt2Tensor(tensor.name).has_value()) << tensor.name;
    }
  }
  EXPECT_EQ(Gpt2Tensor("h12.attn.qkv.weight"),
            (ForeignTensor{"transformer.h.12.attn.c_attn.weight", true}));
  EXPECT_EQ(Gpt2Tensor("h0.attn.qkv.bias"),
            (ForeignTensor{"transformer.h.0.attn.c_attn.bias", false}));
  EXPECT_EQ(Gpt2Tensor("embed.token.weight"),
            (ForeignTensor{"transformer.wte.weight", false}));
  EXPECT_EQ(Gpt2Tensor("head.weight"),
            (ForeignTensor{"lm_head.weight", false}));
}

TEST(Gpt2TensorTest, OtherNamesHaveNone) {
  for (const char* name :
       {"", ".weight", "h.attn.norm.weight", "h0.weight", "h0attn.norm.weight",
        "h0.attn.gate.weight", "head", "h0.attn.qkv.scale", "fc0.weight"}) {
    EXPECT_FALSE(Gpt2Tensor(name).has_value()) << name;
  }
}

TEST(TransposedBytesTest, RowsBecomeColumns) {
  EXPECT_EQ(TransposedBytes("abcdef", 3, 1), "adbecf");
  EXPECT_EQ(TransposedBytes("aabbccdd", 2, 2), "aaccbbdd");
  EXPECT_EQ(TransposedBytes("", 0, 4), "");
}

class ExportGpt2Test : public ::testing::Test {
 protected:
  ExportGpt2Test()
      : files_(MakePosixFileSystem()),
        folder_(absl::StrCat(
            ::testing::TempDir(), "/gpt2_",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder_);
    EXPECT_EQ(MakeFolder(folder_), absl::OkStatus());
    auto store = CheckpointStore::Open(*files_, folder_ + "/root");
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = std::make_unique<CheckpointStore>(*std::move(store));
    shards_ = MakeDirectoryShardStore(*files_, store_->root());
  }

  void Put(const TestCheckpoint& checkpoint) {
    for (const auto& [name, content] : checkpoint.shards) {
      auto upload =
          shards_->Begin(checkpoint.manifest.id(), name, content.size());
      ASSERT_TRUE(upload.ok());
      ASSERT_EQ((*upload)->Append(content), absl::OkStatus());
      ASSERT_TRUE((*upload)->Finish().ok());
    }
    ASSERT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  }
  absl::Status Export(const TestCheckpoint& checkpoint,
                      const std::string& name = "out") {
    return ExportGpt2(*shards_, checkpoint.manifest, /*heads=*/2, *files_,
                      folder_ + "/" + name, nullptr);
  }
  SafetensorsHeader ExportedHeader() {
    const std::string file =
        ReadFile(folder_ + "/out/model.safetensors").value();
    const int64_t length =
        ParseHeaderLength(file.substr(0, kHeaderLengthBytes), file.size())
            .value();
    return ParseHeader(
               file.substr(kHeaderLengthBytes, length),
               static_cast<int64_t>(file.size()) - kHeaderLengthBytes - length)
        .value();
  }
  nlohmann::json Config() {
    return nlohmann::json::parse(
        ReadFile(folder_ + "/out/config.json").value());
  }

  const std::unique_ptr<FileSystem> files_;
  const std::string folder_;
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<ShardStore> shards_;
  const CheckpointId id_ = TestCheckpointId("gpt", 7, 1);
};

TEST_F(ExportGpt2Test, WritesOneFileAndWhatTheModelIs) {
  const TestCheckpoint checkpoint = MakeTestGpt(id_, {});
  Put(checkpoint);
  ASSERT_EQ(Export(checkpoint), absl::OkStatus());
  EXPECT_THAT(*files_->List(folder_ + "/out"),
              ElementsAre("config.json", "model.safetensors"));
  const SafetensorsHeader header = ExportedHeader();
  EXPECT_EQ(header.metadata.at("format"), "pt");
  ASSERT_EQ(header.tensors.size(), 2u + 2 * 12 + 2 + 1);
  for (const StoredTensor& tensor : header.tensors) {
    if (tensor.name != "transformer.h.1.mlp.c_fc.weight") continue;
    EXPECT_THAT(tensor.shape, ElementsAre(8, 32));
  }
  const nlohmann::json config = Config();
  EXPECT_EQ(config["architectures"][0], "GPT2LMHeadModel");
  EXPECT_EQ(config["n_layer"], 2);
  EXPECT_EQ(config["n_head"], 2);
  EXPECT_EQ(config["n_embd"], 8);
  EXPECT_EQ(config["n_positions"], 12);
  EXPECT_EQ(config["vocab_size"], 16);
  EXPECT_EQ(config["tie_word_embeddings"], false);
}

TEST_F(ExportGpt2Test, ATiedHeadIsNotWrittenTwice) {
  const TestCheckpoint checkpoint = MakeTestGpt(id_, {.is_tied = true});
  Put(checkpoint);
  ASSERT_EQ(Export(checkpoint), absl::OkStatus());
  EXPECT_EQ(Config()["tie_word_embeddings"], true);
  for (const StoredTensor& tensor : ExportedHeader().tensors) {
    EXPECT_NE(tensor.name, "lm_head.weight");
  }
}

TEST_F(ExportGpt2Test, WhatWasExportedComesBack) {
  const TestCheckpoint checkpoint = MakeTestGpt(id_, {});
  Put(checkpoint);
  ASSERT_EQ(Export(checkpoint), absl::OkStatus());
  const CheckpointId id = TestCheckpointId("back", 0, 1);
  int64_t last = 0;
  int64_t total = 0;
  const auto imported = ImportWeights(
      folder_ + "/out", TestGptLayers({}), id, *shards_, WeightNames::kGpt2,
      [&](int64_t done_bytes, int64_t total_bytes) {
        last = done_bytes;
        total = total_bytes;
        return true;
      });
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_GT(total, 0);
  EXPECT_EQ(last, total);
  ASSERT_EQ(static_cast<int>(imported->size()),
            checkpoint.manifest.files_size());
  for (size_t i = 0; i < imported->size(); ++i) {
    EXPECT_EQ(
        imported->at(i).SerializeAsString(),
        checkpoint.manifest.files(static_cast<int>(i)).SerializeAsString());
  }
}

TEST_F(ExportGpt2Test, AnImportOfAnotherShapeNamesWhatItGot) {
  const TestCheckpoint checkpoint = MakeTestGpt(id_, {});
  Put(checkpoint);
  ASSERT_EQ(Export(checkpoint), absl::OkStatus());
  const absl::Status status =
      ImportWeights(folder_ + "/out", TestGptLayers({.layers = 3, .hidden = 4}),
                    TestCheckpointId("back", 0, 1), *shards_,
                    WeightNames::kGpt2)
          .status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("\"transformer.h.0.attn.c_attn.weight\" has shape "
                        "[8, 24], wanted [4, 12]"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("more"));
}

TEST_F(ExportGpt2Test, AnImportCanBeCutShort) {
  const TestCheckpoint checkpoint = MakeTestGpt(id_, {});
  Put(checkpoint);
  ASSERT_EQ(Export(checkpoint), absl::OkStatus());
  const absl::Status status =
      ImportWeights(folder_ + "/out", TestGptLayers({}),
                    TestCheckpointId("back", 0, 1), *shards_,
                    WeightNames::kGpt2, [](int64_t, int64_t) { return false; })
          .status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_F(ExportGpt2Test, WhatIsNoGptIsRefusedBeforeAFolderIsMade) {
  const TestCheckpoint checkpoint = MakeTestCheckpoint(id_);
  Put(checkpoint);
  const absl::Status status = Export(checkpoint);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("h0.weight"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/out"));
}

TEST_F(ExportGpt2Test, AFolderThatIsNotEmptyIsRefused) {
  const TestCheckpoint checkpoint = MakeTestGpt(id_, {});
  Put(checkpoint);
  const absl::Status status = Export(checkpoint, "root");
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is not empty"));
}

TEST_F(ExportGpt2Test, ADamagedTensorIsNamedAndLeavesNoConfig) {
  TestCheckpoint checkpoint = MakeTestGpt(id_, {});
  Put(checkpoint);
  ShardTensor& tensor =
      *checkpoint.manifest.mutable_files(1)->mutable_tensors(2);
  tensor.set_crc32c(tensor.crc32c() + 1);
  const absl::Status status = Export(checkpoint);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("h0.attn.qkv.weight"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/out/config.json"));
}

}  // namespace
}  // namespace penstock
