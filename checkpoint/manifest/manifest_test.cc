#include "checkpoint/manifest/manifest.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

CheckpointManifest Example() {
  return MakeTestCheckpoint(TestCheckpointId("job", 5, 1)).manifest;
}

// What is said of the example after `change`.
absl::Status StatusAfter(
    const std::function<void(CheckpointManifest&)>& change) {
  CheckpointManifest manifest = Example();
  change(manifest);
  return ValidateManifest(manifest);
}

TEST(ManifestTest, ComesBackAsItWasWritten) {
  CheckpointManifest manifest = Example();
  manifest.set_evaluation_loss(0.1);
  manifest.set_created_unix_nanos(kMost);
  manifest.mutable_state()->set_loss_scale(65536);
  manifest.mutable_state()->add_stages()->add_versions(3);
  const absl::StatusOr<std::string> json = EncodeManifest(manifest);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_THAT(*json, HasSubstr("\"format_version\": 1"));
  const auto parsed = ParseManifest(*json);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*parsed, manifest));
  EXPECT_EQ(*EncodeManifest(*parsed), *json);
}

TEST(ManifestTest, ALossThatIsNoNumberSurvives) {
  CheckpointManifest manifest = Example();
  manifest.set_evaluation_loss(std::nan(""));
  const auto parsed = ParseManifest(*EncodeManifest(manifest));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(std::isnan(parsed->evaluation_loss()));
}

TEST(ManifestTest, ANewerFormatIsRefusedWhateverItAdds) {
  const std::string json =
      R"({"format_version": 2, "holograms": [{"a": 1}], "id": {}})";
  const absl::Status status = ParseManifest(json).status();
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer Penstock"));
}

TEST(ManifestTest, AnUnknownFieldOfThisFormatIsPassedOver) {
  std::string json = *EncodeManifest(Example());
  json.insert(1, "\"remark\": \"x\",");
  EXPECT_TRUE(ParseManifest(json).ok());
}

TEST(ManifestTest, WhatIsNoManifestIsDamage) {
  for (const std::string& json :
       {std::string(), std::string("{"), std::string("[]"), std::string("7"),
        std::string("{}"), std::string("null"),
        std::string(R"({"format_version": "x"})"),
        std::string(R"({"format_version": 99999999999})"),
        std::string(100'000, '['), std::string("\xff\xfe{}")}) {
    EXPECT_TRUE(absl::IsDataLoss(ParseManifest(json).status()))
        << json.substr(0, 40) << ParseManifest(json).status();
  }
}

TEST(ManifestTest, EveryFirstPartOfAManifestIsDamage) {
  const std::string json = *EncodeManifest(Example());
  // The last characters are a brace and a line's end.
  for (size_t size = 0; size + 2 < json.size(); size += 7) {
    ASSERT_TRUE(absl::IsDataLoss(ParseManifest(json.substr(0, size)).status()))
        << size;
  }
}

TEST(ManifestTest, ItsIdMustBeOne) {
  EXPECT_TRUE(absl::IsDataLoss(
      StatusAfter([](auto& m) { m.mutable_id()->set_job_id("../other"); })));
  EXPECT_TRUE(absl::IsDataLoss(
      StatusAfter([](auto& m) { m.mutable_id()->set_step(-1); })));
  const absl::Status status =
      StatusAfter([](auto& m) { m.mutable_state()->set_step(6); });
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("step 6, wanted 5"));
}

TEST(ManifestTest, ItsFilesLeadNowhereElse) {
  for (const char* name :
       {"", "..", "../l0000-h0.w.safetensors", "/etc/passwd",
        "l0000-a/b.w.safetensors", "manifest.json", "COMMIT"}) {
    const absl::Status status =
        StatusAfter([&](auto& m) { m.mutable_files(0)->set_name(name); });
    EXPECT_TRUE(absl::IsDataLoss(status)) << name << status;
  }
}

TEST(ManifestTest, AFilesNameSaysItsLayerAndKind) {
  for (const auto& change :
       {std::function<void(CheckpointManifest&)>(
            [](auto& m) { m.mutable_files(3)->set_layer(2); }),
        std::function<void(CheckpointManifest&)>([](auto& m) {
          m.mutable_files(3)->set_kind(ShardFile::OLDER_VERSIONS);
        })}) {
    const absl::Status status = StatusAfter(change);
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("name says"));
  }
}

TEST(ManifestTest, NothingIsThereTwice) {
  EXPECT_THAT(std::string(StatusAfter([](auto& m) {
                            *m.mutable_files(1) = m.files(0);
                          }).message()),
              HasSubstr("file \"l0000-h0.w.safetensors\": is there twice"));
  EXPECT_THAT(
      std::string(StatusAfter([](auto& m) {
                    *m.mutable_files(1) = m.files(0);
                    m.mutable_files(1)->set_name("l0000-other.w.safetensors");
                  }).message()),
      HasSubstr("second of its layer and kind"));
  EXPECT_THAT(std::string(StatusAfter([](auto& m) {
                            m.mutable_files(2)->mutable_tensors(0)->set_name(
                                m.files(0).tensors(0).name());
                          }).message()),
              HasSubstr("tensor \"h0.weight\": is there twice"));
}

TEST(ManifestTest, FilesAreInOrder) {
  CheckpointManifest manifest = Example();
  manifest.mutable_files()->SwapElements(0, 3);
  manifest.mutable_files(0)->mutable_tensors()->SwapElements(0, 1);
  EXPECT_TRUE(absl::IsDataLoss(ValidateManifest(manifest)));
  SortFiles(manifest);
  EXPECT_TRUE(MessageDifferencer::Equals(manifest, Example()));
}

TEST(ManifestTest, SizesFollowFromTypesAndShapes) {
  const auto change_tensor = [](const std::function<void(ShardTensor&)>& f) {
    return StatusAfter(
        [&](auto& m) { f(*m.mutable_files(1)->mutable_tensors(1)); });
  };
  for (const auto& change : {
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_size_bytes(24); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_size_bytes(-20); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_shape(0, 6); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_shape(0, -5); }),
           std::function<void(ShardTensor&)>([](auto& t) {
             t.set_shape(0, kMost / 2);
             t.add_shape(8);
           }),
           std::function<void(ShardTensor&)>([](auto& t) { t.set_name(""); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_type("I64"); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_offset_bytes(t.offset_bytes() - 1); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_offset_bytes(t.offset_bytes() + 1); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_offset_bytes(kMost); }),
           std::function<void(ShardTensor&)>(
               [](auto& t) { t.set_offset_bytes(-8); }),
       }) {
    const absl::Status status = change_tensor(change);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("l0000-h0.opt.safetensors"));
  }
  EXPECT_TRUE(absl::IsUnimplemented(
      change_tensor([](auto& t) { t.set_type("F8_E4M3"); })));
}

TEST(ManifestTest, AFileHasRoomForItsHeaderAtLeast) {
  EXPECT_TRUE(absl::IsDataLoss(StatusAfter([](auto& m) {
    m.mutable_files(0)->clear_tensors();
    m.mutable_files(0)->set_size_bytes(7);
  })));
  EXPECT_TRUE(absl::IsDataLoss(StatusAfter([](auto& m) {
    for (auto& file : *m.mutable_files()) file.set_size_bytes(kMost);
  })));
}

TEST(ManifestTest, AnInvalidOneIsNotWritten) {
  CheckpointManifest manifest = Example();
  manifest.mutable_files(0)->set_name("..");
  EXPECT_FALSE(EncodeManifest(manifest).ok());
}

TEST(TrainStateTest, ComesBackAsItWasWritten) {
  TrainState state;
  state.set_step(12);
  state.set_dataset_fingerprint("abc");
  state.add_stages()->set_updates(12);
  const auto json = EncodeTrainState(state);
  ASSERT_TRUE(json.ok()) << json.status();
  const auto parsed = ParseTrainState(*json);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*parsed, state));
  EXPECT_TRUE(absl::IsDataLoss(ParseTrainState("{\"step\":").status()));
}

TEST(WeightIndexTest, SaysWhereEachWeightIs) {
  const std::string index = EncodeWeightIndex(Example());
  EXPECT_THAT(index, HasSubstr("\"total_size\": 136"));
  EXPECT_THAT(index, HasSubstr("\"h1.bias\": \"l0001-h1.w.safetensors\""));
  EXPECT_FALSE(absl::StrContains(index, "momentum"));
}

TEST(TotalBytesTest, IsTheSumOfAllFiles) {
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  int64_t total = 0;
  for (const auto& [name, content] : checkpoint.shards) total += content.size();
  EXPECT_EQ(TotalBytes(checkpoint.manifest), total);
}

}  // namespace
}  // namespace penstock
