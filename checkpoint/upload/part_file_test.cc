#include "checkpoint/upload/part_file.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/layout/layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

constexpr char kFile[] = "l0000-embed.w.safetensors";
constexpr char kFolder[] = "/r/job/step-000000005.e0001";
constexpr int64_t kStep = kDurableStepBytes;

class PartFileTest : public ::testing::Test {
 protected:
  PartFileTest() {
    EXPECT_EQ(files_.MakeFolder("/r"), absl::OkStatus());
    id_.set_job_id("job");
    id_.set_step(5);
    id_.set_epoch(1);
  }

  absl::StatusOr<PartFile> Begin(int64_t size_bytes, int64_t offset_bytes = 0) {
    return PartFile::Begin(files_, "/r", {id_, kFile, size_bytes},
                           offset_bytes);
  }
  PartPosition Position() const {
    const auto position = FindPart(files_, "/r", id_, kFile);
    EXPECT_TRUE(position.ok()) << position.status();
    return position.value_or(PartPosition{-1, false});
  }
  std::string Content() const {
    return ReadWholeFile(files_, absl::StrCat(kFolder, "/", kFile))
        .value_or("?");
  }

  FaultyFileSystem files_;
  CheckpointId id_;
};

TEST_F(PartFileTest, AWholeFileHasItsNameAndChecksum) {
  auto part = Begin(6);
  ASSERT_TRUE(part.ok()) << part.status();
  ASSERT_EQ(part->Append("abc"), absl::OkStatus());
  EXPECT_FALSE(Position().complete);
  ASSERT_EQ(part->Append("def"), absl::OkStatus());
  const auto stored = part->Finish();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->size_bytes, 6);
  EXPECT_EQ(stored->crc32c, Crc32c("abcdef"));
  EXPECT_EQ(Content(), "abcdef");
  EXPECT_TRUE(Position().complete);
  EXPECT_EQ(Position().durable_bytes, 6);
  EXPECT_THAT(*files_.List(kFolder), ElementsAre(kFile));
}

TEST_F(PartFileTest, AnEmptyFileIsAFile) {
  auto part = Begin(0);
  ASSERT_TRUE(part.ok()) << part.status();
  ASSERT_TRUE(part->Finish().ok());
  EXPECT_EQ(Content(), "");
}

TEST_F(PartFileTest, WhatIsWholeSurvivesTheMachine) {
  for (int seed = 0; seed < 50; ++seed) {
    auto part = Begin(3);
    ASSERT_TRUE(part.ok()) << part.status();
    ASSERT_EQ(part->Append(absl::StrCat(100 + seed)), absl::OkStatus());
    ASSERT_TRUE(part->Finish().ok());
    files_.Restart(seed);
    ASSERT_EQ(Content(), absl::StrCat(100 + seed));
  }
}

TEST_F(PartFileTest, IsDurableInSteps) {
  auto part = Begin(3 * kStep);
  ASSERT_TRUE(part.ok()) << part.status();
  ASSERT_EQ(part->Append(std::string(kStep - 1, 'a')), absl::OkStatus());
  EXPECT_EQ(part->durable_bytes(), 0);
  EXPECT_EQ(Position().durable_bytes, 0);
  ASSERT_EQ(part->Append("ab"), absl::OkStatus());
  EXPECT_EQ(part->durable_bytes(), kStep);
  EXPECT_EQ(part->written_bytes(), kStep + 1);
  EXPECT_EQ(Position().durable_bytes, kStep);
  ASSERT_EQ(part->Sync(), absl::OkStatus());
  EXPECT_EQ(part->durable_bytes(), kStep + 1);
}

TEST_F(PartFileTest, GoesOnAfterTheMachineHasEnded) {
  const std::string content(2 * kStep, 'x');
  {
    auto part = Begin(2 * kStep);
    ASSERT_TRUE(part.ok()) << part.status();
    ASSERT_EQ(part->Append(content.substr(0, kStep + 7)), absl::OkStatus());
    ASSERT_EQ(files_.SyncFolder(kFolder), absl::OkStatus());
  }
  files_.Restart(3);
  const int64_t durable = Position().durable_bytes;
  ASSERT_EQ(durable, kStep);
  auto part = Begin(2 * kStep, durable);
  ASSERT_TRUE(part.ok()) << part.status();
  ASSERT_EQ(part->Append(content.substr(durable)), absl::OkStatus());
  const auto stored = part->Finish();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->crc32c, Crc32c(content));
  EXPECT_EQ(Content(), content);
}

TEST_F(PartFileTest, GoesOnAtAnyByteThatIsThereAndForgetsTheRest) {
  {
    auto part = Begin(6);
    ASSERT_TRUE(part.ok());
    ASSERT_EQ(part->Append("abcXX"), absl::OkStatus());
  }
  auto part = Begin(6, 3);
  ASSERT_TRUE(part.ok()) << part.status();
  ASSERT_EQ(part->Append("def"), absl::OkStatus());
  EXPECT_EQ(part->Finish()->crc32c, Crc32c("abcdef"));
  EXPECT_TRUE(absl::IsOutOfRange(Begin(60, 7).status()));
}

TEST_F(PartFileTest, AWholeFileBegunAtItsEndSaysItsChecksum) {
  {
    auto part = Begin(3);
    ASSERT_TRUE(part.ok());
    ASSERT_EQ(part->Append("abc"), absl::OkStatus());
    ASSERT_TRUE(part->Finish().ok());
  }
  auto again = Begin(3, 3);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->Finish()->crc32c, Crc32c("abc"));
  EXPECT_EQ(Content(), "abc");
  EXPECT_TRUE(absl::IsOutOfRange(Begin(4, 3).status()));
}

TEST_F(PartFileTest, AWholeFileIsReplacedOnlyWhenTheNewOneIsWhole) {
  for (const char* content : {"old", "new"}) {
    auto part = Begin(3);
    ASSERT_TRUE(part.ok());
    ASSERT_EQ(part->Append(content), absl::OkStatus());
    EXPECT_EQ(Content(), content == std::string("old") ? "?" : "old");
    ASSERT_TRUE(part->Finish().ok());
  }
  EXPECT_EQ(Content(), "new");
}

TEST_F(PartFileTest, AFileHasItsSize) {
  auto part = Begin(3);
  ASSERT_TRUE(part.ok());
  EXPECT_TRUE(absl::IsInvalidArgument(part->Append("abcd")));
  ASSERT_EQ(part->Append("ab"), absl::OkStatus());
  EXPECT_TRUE(absl::IsInvalidArgument(part->Finish().status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Begin(-1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Begin(3, -1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Begin(3, 4).status()));
}

TEST_F(PartFileTest, NamesThatLeadElsewhereAreRefused) {
  const auto begin = [&](const CheckpointId& id, const std::string& file) {
    return PartFile::Begin(files_, "/r", {id, file, 3}, 0).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(begin(id_, "../x.w.safetensors")));
  EXPECT_TRUE(absl::IsInvalidArgument(begin(id_, "manifest.json")));
  EXPECT_TRUE(absl::IsInvalidArgument(begin(id_, "")));
  CheckpointId other = id_;
  other.set_job_id("..");
  EXPECT_TRUE(absl::IsInvalidArgument(begin(other, kFile)));
  EXPECT_TRUE(
      absl::IsInvalidArgument(FindPart(files_, "/r", other, kFile).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(RemovePart(files_, "/r", id_, "..")));
  EXPECT_THAT(*files_.List("/r"), ElementsAre());
}

TEST_F(PartFileTest, ACommittedCheckpointTakesNoFiles) {
  for (const char* name : {kCommitFile, kDeletingFile}) {
    ASSERT_EQ(files_.MakeFolder(kFolder), absl::OkStatus());
    const std::string mark = absl::StrCat(kFolder, "/", name);
    ASSERT_EQ(PublishFile(files_, mark, "x"), absl::OkStatus());
    EXPECT_TRUE(absl::IsFailedPrecondition(Begin(3).status())) << name;
    ASSERT_EQ(files_.Remove(mark), absl::OkStatus());
  }
}

TEST_F(PartFileTest, EveryFaultIsSaid) {
  for (const FileFault fault :
       {FileFault::kNoSpace, FileFault::kIoError, FileFault::kShortWrite}) {
    for (int operation = 0;; ++operation) {
      FaultyFileSystem files;
      ASSERT_EQ(files.MakeFolder("/r"), absl::OkStatus());
      const int64_t before = files.num_operations();
      files.FailAt(operation, fault);
      const absl::Status status = [&] {
        auto part = PartFile::Begin(files, "/r", {id_, kFile, 3}, 0);
        if (!part.ok()) return part.status();
        const absl::Status appended = part->Append("abc");
        return appended.ok() ? part->Finish().status() : appended;
      }();
      if (files.num_operations() - before <= operation) {
        EXPECT_EQ(status, absl::OkStatus());
        EXPECT_GT(operation, 8);
        break;
      }
      EXPECT_FALSE(status.ok()) << operation;
    }
  }
}

}  // namespace
}  // namespace penstock
