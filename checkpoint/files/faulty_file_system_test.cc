#include "checkpoint/files/faulty_file_system.h"

#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSubsetOf;

constexpr int kSeeds = 200;

class FaultyFileSystemTest : public ::testing::Test {
 protected:
  FaultyFileSystemTest() {
    EXPECT_EQ(files_.MakeFolder("/d"), absl::OkStatus());
  }

  absl::Status Write(const std::string& path, absl::string_view content,
                     bool sync) {
    auto file = files_.Create(path);
    if (!file.ok()) return file.status();
    const absl::Status appended = (*file)->Append(content);
    return appended.ok() && sync ? (*file)->Sync() : appended;
  }

  FaultyFileSystem files_;
};

TEST_F(FaultyFileSystemTest, WhatIsSyncedSurvivesEveryRestart) {
  ASSERT_EQ(Write("/d/a", "content", /*sync=*/true), absl::OkStatus());
  ASSERT_EQ(files_.SyncFolder("/d"), absl::OkStatus());
  for (int seed = 0; seed < kSeeds; ++seed) {
    files_.Restart(seed);
    ASSERT_EQ(ReadWholeFile(files_, "/d/a").value_or("?"), "content");
  }
}

TEST_F(FaultyFileSystemTest, AnUnsyncedNameMayOrMayNotBeThere) {
  std::set<bool> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    FaultyFileSystem files;
    ASSERT_EQ(files.MakeFolder("/d"), absl::OkStatus());
    const auto file = files.Create("/d/a");
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Append("x"), absl::OkStatus());
    ASSERT_EQ((*file)->Sync(), absl::OkStatus());
    files.Restart(seed);
    seen.insert(files.Open("/d/a").ok());
  }
  EXPECT_THAT(seen, ElementsAre(false, true));
}

TEST_F(FaultyFileSystemTest, UnsyncedContentIsAnyPartOrGarbage) {
  std::set<std::string> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    FaultyFileSystem files;
    ASSERT_EQ(files.MakeFolder("/d"), absl::OkStatus());
    const auto file = files.Create("/d/a");
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Append("ab"), absl::OkStatus());
    ASSERT_EQ((*file)->Sync(), absl::OkStatus());
    ASSERT_EQ(files.SyncFolder("/d"), absl::OkStatus());
    ASSERT_EQ((*file)->Append("cd"), absl::OkStatus());
    files.Restart(seed);
    const std::string left = ReadWholeFile(files, "/d/a").value_or("?");
    ASSERT_TRUE(absl::StartsWith(left, "ab")) << left;
    seen.insert(left);
  }
  EXPECT_THAT(seen, Contains("ab"));
  EXPECT_THAT(seen, Contains("abc"));
  EXPECT_THAT(seen, Contains("abcd"));
  EXPECT_GT(seen.size(), 10u);
}

// Each name by itself: the old file may be gone and the new one not there.
TEST_F(FaultyFileSystemTest, AnUnsyncedRenameLeavesAnyOfFourStates) {
  std::set<std::string> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    FaultyFileSystem files;
    ASSERT_EQ(files.MakeFolder("/d"), absl::OkStatus());
    const auto file = files.Create("/d/a");
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(files.SyncFolder("/d"), absl::OkStatus());
    ASSERT_EQ(files.Rename("/d/a", "/d/b"), absl::OkStatus());
    files.Restart(seed);
    seen.insert(absl::StrJoin(files.List("/d").value(), ""));
  }
  EXPECT_THAT(seen, ElementsAre("", "a", "ab", "b"));
}

TEST_F(FaultyFileSystemTest, FaultsComeWhereTheyAreAskedFor) {
  files_.FailAt(1, FileFault::kNoSpace);
  EXPECT_TRUE(absl::IsResourceExhausted(Write("/d/a", "content", true)));
  EXPECT_EQ(ReadWholeFile(files_, "/d/a").value_or("?"), "");
  files_.FailAt(0, FileFault::kIoError);
  EXPECT_EQ(files_.Open("/d/a").status().code(), absl::StatusCode::kUnknown);
  files_.FailAt(1, FileFault::kShortWrite);
  EXPECT_TRUE(absl::IsResourceExhausted(Write("/d/a", "content", true)));
  EXPECT_EQ(ReadWholeFile(files_, "/d/a").value_or("?"), "con");
  EXPECT_EQ(Write("/d/a", "content", true), absl::OkStatus());
}

TEST_F(FaultyFileSystemTest, AfterACrashNothingWorksUntilTheRestart) {
  const auto file = files_.Create("/d/a");
  ASSERT_TRUE(file.ok());
  files_.FailAt(0, FileFault::kCrash);
  EXPECT_TRUE(absl::IsAborted((*file)->Append("x")));
  EXPECT_TRUE(absl::IsAborted(files_.SyncFolder("/d")));
  EXPECT_TRUE(absl::IsAborted(files_.List("/d").status()));
  files_.Restart(1);
  EXPECT_EQ(files_.SyncFolder("/d"), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted((*file)->Append("x")));
}

// PublishFile under every single fault: old or new, never a part.
TEST_F(FaultyFileSystemTest, APublishedFileIsOldOrNewAfterAnyFault) {
  for (const FileFault fault : {FileFault::kNoSpace, FileFault::kIoError,
                                FileFault::kShortWrite, FileFault::kCrash}) {
    for (int operation = 0; operation < 8; ++operation) {
      for (int seed = 0; seed < kSeeds; ++seed) {
        FaultyFileSystem files;
        ASSERT_EQ(files.MakeFolder("/d"), absl::OkStatus());
        ASSERT_EQ(PublishFile(files, "/d/a", "old"), absl::OkStatus());
        files.FailAt(operation, fault);
        const absl::Status status = PublishFile(files, "/d/a", "new");
        files.Restart(seed);
        const std::string left = ReadWholeFile(files, "/d/a").value_or("?");
        if (status.ok()) {
          ASSERT_EQ(left, "new") << operation << " " << seed;
        } else {
          ASSERT_TRUE(left == "old" || left == "new")
              << left << " " << operation << " " << seed;
        }
      }
    }
  }
}

}  // namespace
}  // namespace penstock
