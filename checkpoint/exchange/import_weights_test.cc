#include "checkpoint/exchange/import_weights.h"

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "checkpoint/exchange/export_weights.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/safetensors/header.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "checkpoint/store/checkpoint_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

class ImportWeightsTest : public ::testing::Test {
 protected:
  ImportWeightsTest()
      : files_(MakePosixFileSystem()),
        folder_(absl::StrCat(
            ::testing::TempDir(), "/import_",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder_);
    EXPECT_EQ(MakeFolder(folder_), absl::OkStatus());
    auto store = CheckpointStore::Open(*files_, folder_ + "/root");
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = std::make_unique<CheckpointStore>(*std::move(store));
    shards_ = MakeDirectoryShardStore(*files_, store_->root());
  }

  void Write(const std::string& name, absl::string_view content) {
    ASSERT_EQ(WriteFileAtomically(folder_ + "/" + name, content),
              absl::OkStatus());
  }
  // One layer with one tensor of two elements.
  static std::vector<ExpectedLayer> OneLayer() {
    return {{0, "x", {{"x.weight", {2}}}}};
  }
  static std::string FileOf(StoredType type, absl::string_view data,
                            const std::string& name = "x.weight") {
    SafetensorsHeader header;
    header.tensors = {{name, type, {2}}};
    return absl::StrCat(EncodeHeader(header).value(), data);
  }
  absl::StatusOr<std::vector<ShardFile>> Import(
      const std::string& name, const std::vector<ExpectedLayer>& layers) {
    return ImportWeights(folder_ + "/" + name, layers, id_, *shards_);
  }
  // The floats of the one tensor that was imported, once it is committed.
  std::vector<float> Imported(const std::vector<ShardFile>& shards) {
    CheckpointManifest manifest;
    *manifest.mutable_id() = id_;
    manifest.mutable_state()->set_step(id_.step());
    for (const ShardFile& shard : shards) *manifest.add_files() = shard;
    EXPECT_EQ(store_->Commit(manifest), absl::OkStatus());
    EXPECT_EQ(store_->Verify(id_, nullptr), absl::OkStatus());
    const ShardTensor& tensor = shards[0].tensors(0);
    const auto bytes = shards_->Read(
        id_, shards[0].name(), tensor.offset_bytes(), tensor.size_bytes());
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    std::vector<float> values(bytes->size() / sizeof(float));
    std::memcpy(values.data(), bytes->data(), bytes->size());
    return values;
  }

  const std::unique_ptr<FileSystem> files_;
  const std::string folder_;
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<ShardStore> shards_;
  const CheckpointId id_ = TestCheckpointId("imported", 0, 1);
};

TEST_F(ImportWeightsTest, WhatWasExportedComesBack) {
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  for (const auto& [name, content] : checkpoint.shards) {
    auto upload =
        shards_->Begin(checkpoint.manifest.id(), name, content.size());
    ASSERT_TRUE(upload.ok());
    ASSERT_EQ((*upload)->Append(content), absl::OkStatus());
    ASSERT_TRUE((*upload)->Finish().ok());
  }
  ASSERT_EQ(store_->Commit(checkpoint.manifest), absl::OkStatus());
  ASSERT_EQ(ExportWeights(*shards_, checkpoint.manifest, *files_,
                          folder_ + "/out", nullptr),
            absl::OkStatus());
  const auto imported = Import("out", ExpectedLayersOf(checkpoint));
  ASSERT_TRUE(imported.ok()) << imported.status();
  ASSERT_EQ(imported->size(), 2u);
  EXPECT_EQ(imported->at(1).SerializeAsString(),
            checkpoint.manifest.files(2).SerializeAsString());
}

TEST_F(ImportWeightsTest, HalfPrecisionBecomesFloat) {
  Write("half.safetensors",
        FileOf(StoredType::kFloat16, absl::string_view("\x00\x3c\x00\xc0", 4)));
  auto imported = Import("half.safetensors", OneLayer());
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(Imported(*imported), ::testing::ElementsAre(1.0f, -2.0f));
  ASSERT_EQ(store_->Delete(id_), absl::OkStatus());
  Write("brain.safetensors", FileOf(StoredType::kBFloat16,
                                    absl::string_view("\x80\x3f\x40\xc0", 4)));
  imported = Import("brain.safetensors", OneLayer());
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(Imported(*imported), ::testing::ElementsAre(1.0f, -3.0f));
}

TEST_F(ImportWeightsTest, OtherTensorsArePassedOver) {
  SafetensorsHeader header;
  header.tensors = {{"other", StoredType::kInt64, {1}},
                    {"x.weight", StoredType::kFloat32, {2}}};
  Write("model.safetensors",
        absl::StrCat(EncodeHeader(header).value(), std::string(16, '\0')));
  // As a folder with a single file.
  const auto imported = ImportWeights(folder_, OneLayer(), id_, *shards_);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->front().tensors_size(), 1);
}

TEST_F(ImportWeightsTest, AModelThatHasChangedIsSaidAndNothingSent) {
  Write("a.safetensors", FileOf(StoredType::kFloat32, std::string(8, '\0')));
  std::vector<ExpectedLayer> layers = OneLayer();
  layers[0].tensors[0].shape = {2, 1};
  layers.push_back({1, "y", {{"y.weight", {3}}}});
  const absl::Status status = Import("a.safetensors", layers).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("\"x.weight\" has shape [2], wanted [2, 1]; "
                        "\"y.weight\" is missing"));
  EXPECT_TRUE(store_->ListJobs()->empty());
}

TEST_F(ImportWeightsTest, DamageIsNamed) {
  const std::string sound = FileOf(StoredType::kFloat32, std::string(8, '\0'));
  for (const std::string& content :
       {std::string(), sound.substr(0, 7), sound.substr(0, sound.size() - 1),
        std::string(8, '\xff') + sound, std::string("no file at all")}) {
    Write("a.safetensors", content);
    const absl::Status status = Import("a.safetensors", OneLayer()).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("a.safetensors"));
  }
  EXPECT_TRUE(absl::IsNotFound(Import("none", OneLayer()).status()));
}

TEST_F(ImportWeightsTest, AnIndexNamesFilesBesideIt) {
  constexpr char kIndex[] = "model.safetensors.index.json";
  for (const char* index :
       {"", "[]", "{}", R"({"weight_map": 3})",
        R"({"weight_map": {"x.weight": 3}})",
        R"({"weight_map": {"x.weight": "../a.safetensors"}})",
        R"({"weight_map": {"x.weight": "/etc/passwd"}})",
        R"({"weight_map": {"x.weight": ".."}})"}) {
    Write(kIndex, index);
    const absl::Status status =
        ImportWeights(folder_, OneLayer(), id_, *shards_).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << index << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(kIndex));
  }
  Write(kIndex, R"({"weight_map": {"x.weight": "a", "y": "b"}})");
  Write("a", FileOf(StoredType::kFloat32, std::string(8, '\0')));
  Write("b", FileOf(StoredType::kFloat32, std::string(8, '\0')));
  EXPECT_TRUE(absl::IsDataLoss(
      ImportWeights(folder_, OneLayer(), id_, *shards_).status()));
  Write("b", FileOf(StoredType::kFloat32, std::string(8, '\0'), "y"));
  EXPECT_TRUE(ImportWeights(folder_, OneLayer(), id_, *shards_).ok());
}

}  // namespace
}  // namespace penstock
