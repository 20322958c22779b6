// Checkpoints that somebody has damaged or made up: each is found and named,
// none is followed out of the root.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/random.h"
#include "base/sha256.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/store/checkpoint_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr int kFlips = 1000;
constexpr uint64_t kSeed = 20260;

class HostileFilesTest : public ::testing::Test {
 protected:
  HostileFilesTest()
      : files_(MakePosixFileSystem()),
        root_(absl::StrCat(
            ::testing::TempDir(), "/hostile_",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(root_);
    auto store = CheckpointStore::Open(*files_, root_);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = std::make_unique<CheckpointStore>(*std::move(store));
    Put(checkpoint_, id_);
    EXPECT_EQ(store_->Commit(checkpoint_.manifest), absl::OkStatus());
    EXPECT_EQ(store_->Verify(id_, nullptr), absl::OkStatus());
  }

  void Put(const TestCheckpoint& checkpoint, const CheckpointId& id) {
    ASSERT_EQ(files_->MakeFolder(CheckpointPath(root_, id)), absl::OkStatus());
    for (const auto& [name, content] : checkpoint.shards) {
      Write(PathOf(name, id), content);
    }
  }
  std::string PathOf(const std::string& name) const {
    return PathOf(name, id_);
  }
  std::string PathOf(const std::string& name, const CheckpointId& id) const {
    return absl::StrCat(CheckpointPath(root_, id), "/", name);
  }
  void Write(const std::string& path, absl::string_view content) {
    const auto file = files_->Create(path);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_EQ((*file)->Append(content), absl::OkStatus());
  }
  std::string Content(const std::string& name) const {
    return ReadWholeFile(*files_, PathOf(name)).value();
  }
  std::vector<std::string> Names() const {
    return files_->List(CheckpointPath(root_, id_)).value();
  }
  // A manifest as an attacker writes it: nothing but COMMIT is right.
  void Seal(const std::string& json) {
    Write(PathOf(kManifestFile), json);
    Write(PathOf(kCommitFile), Sha256HexOf(json) + "\n");
  }
  absl::Status Verify() const { return store_->Verify(id_, nullptr); }

  const std::unique_ptr<FileSystem> files_;
  const std::string root_;
  std::unique_ptr<CheckpointStore> store_;
  const CheckpointId id_ = TestCheckpointId("job", 5, 1);
  const TestCheckpoint checkpoint_ = MakeTestCheckpoint(id_);
};

TEST_F(HostileFilesTest, EveryFlippedBitIsFoundAndNamed) {
  std::map<std::string, std::string> contents;
  int64_t total = 0;
  for (const std::string& name : Names()) {
    contents[name] = Content(name);
    total += static_cast<int64_t>(contents[name].size());
  }
  for (int flip = 0; flip < kFlips; ++flip) {
    const uint64_t draw = RandomKey(kSeed, {static_cast<uint64_t>(flip)});
    int64_t place = static_cast<int64_t>(draw / 8 % total);
    auto file = contents.begin();
    while (place >= static_cast<int64_t>(file->second.size())) {
      place -= static_cast<int64_t>(file->second.size());
      ++file;
    }
    const auto& [name, content] = *file;
    std::string damaged = content;
    damaged[place] ^= static_cast<char>(1 << draw % 8);
    Write(PathOf(name), damaged);
    const absl::Status status = Verify();
    // A space of JSON may be another space.
    if (!status.ok() || name != kTrainStateFile) {
      ASSERT_TRUE(absl::IsDataLoss(status))
          << name << " byte " << place << " " << status;
      ASSERT_THAT(std::string(status.message()),
                  HasSubstr(name == kCommitFile ? kManifestFile : name));
    }
    Write(PathOf(name), content);
  }
  EXPECT_EQ(Verify(), absl::OkStatus());
}

TEST_F(HostileFilesTest, EveryTruncatedFileIsFoundAndNamed) {
  for (const std::string& name : Names()) {
    const std::string content = Content(name);
    for (size_t size = 0; size + 1 < content.size();
         size += 1 + content.size() / 20) {
      Write(PathOf(name), content.substr(0, size));
      const absl::Status status = Verify();
      EXPECT_TRUE(absl::IsDataLoss(status)) << name << " " << size << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(PathOf("")));
    }
    Write(PathOf(name), content);
  }
}

TEST_F(HostileFilesTest, AMissingFileIsFoundAndNamed) {
  for (const std::string& name : Names()) {
    if (name == kCommitFile) continue;
    const std::string content = Content(name);
    ASSERT_EQ(files_->Remove(PathOf(name)), absl::OkStatus());
    const absl::Status status = Verify();
    EXPECT_TRUE(absl::IsDataLoss(status)) << name << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
    Write(PathOf(name), content);
  }
}

TEST_F(HostileFilesTest, SwappedLayersAreFoundAndNamed) {
  const std::string a = "l0000-h0.w.safetensors";
  const std::string b = "l0001-h1.w.safetensors";
  const std::string content_a = Content(a);
  const std::string content_b = Content(b);
  ASSERT_EQ(content_a.size(), content_b.size());
  Write(PathOf(a), content_b);
  Write(PathOf(b), content_a);
  const absl::Status status = Verify();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(a));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"h1.weight\""));
}

TEST_F(HostileFilesTest, AnotherJobsFolderIsFoundAndNamed) {
  const CheckpointId other = TestCheckpointId("other", 5, 1);
  Put(checkpoint_, other);
  for (const char* name : {kManifestFile, kCommitFile}) {
    Write(PathOf(name, other), Content(name));
  }
  const absl::Status status = store_->Verify(other, nullptr);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("holds the checkpoint of step 5, epoch 1, of job job"));
}

TEST_F(HostileFilesTest, AnotherStepsFileIsFoundAndNamed) {
  const TestCheckpoint other = MakeTestCheckpoint(id_, 2, /*seed=*/9);
  const std::string name = "l0001-h1.opt.safetensors";
  Write(PathOf(name), other.shards.at(name));
  const absl::Status status = Verify();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  EXPECT_THAT(std::string(status.message()), HasSubstr("h1.weight/momentum"));
}

TEST_F(HostileFilesTest, AHeaderOfTwoToThe63BytesIsFound) {
  const std::string name = "l0000-h0.w.safetensors";
  std::string content = Content(name);
  for (const std::string& length :
       {std::string("\0\0\0\0\0\0\0\x80", 8), std::string(8, '\xff'),
        std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8),
        std::string(8, '\0')}) {
    content.replace(0, 8, length);
    Write(PathOf(name), content);
    const absl::Status status = Verify();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST_F(HostileFilesTest, ManifestsThatCannotBeAreFound) {
  const std::string json = *EncodeManifest(checkpoint_.manifest);
  const std::map<std::string, std::string> changes = {
      // Out of the root.
      {"\"l0000-h0.w.safetensors\"", "\"../../../etc/passwd\""},
      {"\"l0000-h0.opt.safetensors\"", "\"/etc/passwd\""},
      {"\"job_id\": \"job\"", "\"job_id\": \"..\""},
      // The same name twice.
      {"\"h0.bias\"", "\"h0.weight\""},
      {"\"l0001-h1.w.safetensors\"", "\"l0000-h0.w.safetensors\""},
      // Overlapping and endless ranges.
      {"\"offset_bytes\": \"", "\"offset_bytes\": \"-"},
      {"\"size_bytes\": \"48\"", "\"size_bytes\": \"9223372036854775807\""},
      {"\"4\",", "\"9223372036854775807\","},
      {"\"4\",", "\"-4\","},
      {"\"F32\"", "\"F16\""},
  };
  for (const auto& [from, to] : changes) {
    const std::string changed = absl::StrReplaceAll(json, {{from, to}});
    ASSERT_NE(changed, json) << from;
    Seal(changed);
    const absl::Status status = Verify();
    EXPECT_TRUE(absl::IsDataLoss(status)) << from << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(CheckpointPath(root_, id_)));
  }
  Seal(std::string(1'000'000, '['));
  EXPECT_TRUE(absl::IsDataLoss(Verify()));
}

TEST_F(HostileFilesTest, LinksOutOfTheRootAreNotFollowed) {
  const std::string outside =
      absl::StrCat(::testing::TempDir(), "/hostile_outside");
  std::filesystem::remove_all(outside);
  std::filesystem::copy(CheckpointPath(root_, id_), outside);
  for (const std::string& name : Names()) {
    const std::string content = Content(name);
    ASSERT_EQ(files_->Remove(PathOf(name)), absl::OkStatus());
    std::filesystem::create_symlink(absl::StrCat(outside, "/", name),
                                    PathOf(name));
    const absl::Status status = Verify();
    EXPECT_TRUE(absl::IsDataLoss(status)) << name << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
    ASSERT_EQ(files_->Remove(PathOf(name)), absl::OkStatus());
    Write(PathOf(name), content);
  }
  // A whole checkpoint, and a whole job.
  const CheckpointId linked = TestCheckpointId("job", 6, 1);
  std::filesystem::create_directory_symlink(outside,
                                            CheckpointPath(root_, linked));
  EXPECT_TRUE(absl::IsDataLoss(store_->Read(linked).status()));
  EXPECT_FALSE(store_->Delete(linked).ok());
  EXPECT_EQ(store_->List("job")->size(), 1u);
  std::filesystem::create_directory_symlink(JobPath(root_, "job"),
                                            JobPath(root_, "linked"));
  EXPECT_TRUE(absl::IsDataLoss(
      store_->Read(TestCheckpointId("linked", 5, 1)).status()));
  EXPECT_THAT(*store_->ListJobs(), ::testing::ElementsAre("job"));
  // What they lead to is as it was.
  EXPECT_EQ(Verify(), absl::OkStatus());
  EXPECT_TRUE(std::filesystem::exists(absl::StrCat(outside, "/COMMIT")));
}

TEST_F(HostileFilesTest, DeletingRemovesLinksAndNotWhatTheyLeadTo) {
  const std::string outside =
      absl::StrCat(::testing::TempDir(), "/hostile_kept");
  Write(outside, "kept");
  std::filesystem::create_symlink(outside, PathOf("extra"));
  ASSERT_EQ(store_->Delete(id_), absl::OkStatus());
  EXPECT_EQ(*ReadWholeFile(*files_, outside), "kept");
}

}  // namespace
}  // namespace penstock
