// What file_system.h promises, of each implementation.

#include "checkpoint/files/file_system.h"

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/files/memory_file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<FileSystem> MakeFileSystem(const std::string& kind) {
  if (kind == "Posix") return MakePosixFileSystem();
  if (kind == "InMemory") return MakeMemoryFileSystem();
  return std::make_unique<FaultyFileSystem>();
}

class FileSystemTest : public ::testing::TestWithParam<const char*> {
 protected:
  FileSystemTest() : files_(MakeFileSystem(GetParam())) {
    root_ = absl::StrCat(
        ::testing::TempDir(), "/files_",
        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    EXPECT_EQ(files_->MakeFolder(root_), absl::OkStatus());
  }

  std::string Path(absl::string_view name) const {
    return name.empty() ? root_ : absl::StrCat(root_, "/", name);
  }
  void Write(absl::string_view name, absl::string_view content) {
    auto file = files_->Create(Path(name));
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_EQ((*file)->Append(content), absl::OkStatus());
  }
  std::string Content(absl::string_view name) const {
    return ReadWholeFile(*files_, Path(name)).value_or("?");
  }

  const std::unique_ptr<FileSystem> files_;
  std::string root_;
};

TEST_P(FileSystemTest, WhatWasAppendedIsRead) {
  {
    auto file = files_->Create(Path("a"));
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_EQ((*file)->Append("one "), absl::OkStatus());
    ASSERT_EQ((*file)->Append("two"), absl::OkStatus());
    ASSERT_EQ((*file)->Sync(), absl::OkStatus());
  }
  EXPECT_EQ(Content("a"), "one two");
  const auto file = files_->Open(Path("a"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->size_bytes(), 7);
  EXPECT_EQ((*file)->Read(4, 3).value_or("?"), "two");
  EXPECT_EQ((*file)->Read(7, 0).value_or("?"), "");
}

TEST_P(FileSystemTest, NothingIsReadBeyondTheEnd) {
  Write("a", "abc");
  const auto file = *files_->Open(Path("a"));
  EXPECT_TRUE(absl::IsOutOfRange(file->Read(1, 3).status()));
  EXPECT_TRUE(absl::IsOutOfRange(file->Read(4, 0).status()));
  EXPECT_TRUE(absl::IsOutOfRange(file->Read(-1, 1).status()));
  EXPECT_TRUE(absl::IsOutOfRange(file->Read(INT64_MAX, 2).status()));
}

TEST_P(FileSystemTest, CreatingAnewForgetsTheOldContent) {
  Write("a", "long content");
  Write("a", "new");
  EXPECT_EQ(Content("a"), "new");
}

TEST_P(FileSystemTest, AFileGoesOnWhereItIsToldTo) {
  Write("a", "abcdef");
  {
    auto file = files_->Continue(Path("a"), 2);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_EQ((*file)->Append("X"), absl::OkStatus());
  }
  EXPECT_EQ(Content("a"), "abX");
  EXPECT_TRUE(absl::IsOutOfRange(files_->Continue(Path("a"), 4).status()));
  EXPECT_TRUE(absl::IsNotFound(files_->Continue(Path("b"), 0).status()));
}

TEST_P(FileSystemTest, RenamingReplaces) {
  Write("a", "new");
  Write("b", "old");
  ASSERT_EQ(files_->Rename(Path("a"), Path("b")), absl::OkStatus());
  EXPECT_EQ(Content("b"), "new");
  EXPECT_TRUE(absl::IsNotFound(files_->Open(Path("a")).status()));
  EXPECT_TRUE(absl::IsNotFound(files_->Rename(Path("a"), Path("b"))));
}

TEST_P(FileSystemTest, AFolderListsItsOwnNamesSorted) {
  ASSERT_EQ(files_->MakeFolder(Path("x/y")), absl::OkStatus());
  ASSERT_EQ(files_->MakeFolder(Path("x/y")), absl::OkStatus());
  Write("x/b", "");
  Write("x/a", "");
  Write("x/y/c", "");
  EXPECT_THAT(*files_->List(Path("x")), ElementsAre("a", "b", "y"));
  EXPECT_TRUE(absl::IsNotFound(files_->List(Path("z")).status()));
}

TEST_P(FileSystemTest, OnlyEmptyFoldersAreRemoved) {
  ASSERT_EQ(files_->MakeFolder(Path("x")), absl::OkStatus());
  Write("x/a", "");
  EXPECT_FALSE(files_->Remove(Path("x")).ok());
  EXPECT_EQ(files_->Remove(Path("x/a")), absl::OkStatus());
  EXPECT_EQ(files_->Remove(Path("x")), absl::OkStatus());
  EXPECT_EQ(files_->Remove(Path("x")), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(files_->List(Path("x")).status()));
}

TEST_P(FileSystemTest, AKindIsThatOfTheNameItself) {
  Write("a", "");
  ASSERT_EQ(files_->MakeFolder(Path("x")), absl::OkStatus());
  EXPECT_EQ(*files_->KindOf(Path("a")), PathKind::kFile);
  EXPECT_EQ(*files_->KindOf(Path("x")), PathKind::kFolder);
  EXPECT_TRUE(absl::IsNotFound(files_->KindOf(Path("b")).status()));
}

TEST_P(FileSystemTest, NothingIsMadeInAFolderThatIsNotThere) {
  const absl::Status status = files_->Create(Path("no/a")).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no"));
}

TEST_P(FileSystemTest, APublishedFileIsWholeAndAlone) {
  ASSERT_EQ(PublishFile(*files_, Path("a"), "one"), absl::OkStatus());
  ASSERT_EQ(PublishFile(*files_, Path("a"), "two"), absl::OkStatus());
  EXPECT_EQ(Content("a"), "two");
  EXPECT_THAT(*files_->List(Path("")), ElementsAre("a"));
}

TEST_P(FileSystemTest, ALargeFileIsReadAcrossItsPieces) {
  std::string large(5'000'000, '\0');
  for (size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i % 251);
  {
    auto file = files_->Create(Path("a"));
    ASSERT_TRUE(file.ok()) << file.status();
    for (size_t i = 0; i < large.size(); i += 700'001) {
      ASSERT_EQ((*file)->Append(large.substr(i, 700'001)), absl::OkStatus());
    }
    ASSERT_EQ((*file)->Sync(), absl::OkStatus());
  }
  const auto file = files_->Open(Path("a"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->Read(0, 5'000'000).value_or("?") == large);
  EXPECT_TRUE((*file)->Read(1'048'570, 2'100'000).value_or("?") ==
              large.substr(1'048'570, 2'100'000));
}

TEST_P(FileSystemTest, WhatIsOpenOutlivesItsName) {
  Write("a", "abcdef");
  const auto file = *files_->Open(Path("a"));
  ASSERT_EQ(files_->Remove(Path("a")), absl::OkStatus());
  EXPECT_EQ(file->Read(0, 6).value_or("?"), "abcdef");
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileSystemTest,
                         ::testing::Values("Posix", "InMemory", "Faulty"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

TEST(PosixFileSystemTest, AFilesLastNameIsNotFollowed) {
  const auto files = MakePosixFileSystem();
  const std::string folder = absl::StrCat(::testing::TempDir(), "/links");
  ASSERT_EQ(files->MakeFolder(folder), absl::OkStatus());
  ASSERT_EQ(PublishFile(*files, absl::StrCat(folder, "/a"), "x"),
            absl::OkStatus());
  const std::string link = absl::StrCat(folder, "/link");
  std::filesystem::remove(link);
  std::filesystem::create_symlink(absl::StrCat(folder, "/a"), link);
  EXPECT_EQ(*files->KindOf(link), PathKind::kOther);
  EXPECT_FALSE(files->Open(link).ok());
  EXPECT_FALSE(files->Create(link).ok());
  EXPECT_FALSE(files->Continue(link, 0).ok());
}

TEST(FolderOfTest, IsWhatStandsBeforeTheLastSlash) {
  EXPECT_EQ(FolderOf("a/b/c"), "a/b");
  EXPECT_EQ(FolderOf("/a"), "/");
  EXPECT_EQ(FolderOf("a"), ".");
}

}  // namespace
}  // namespace penstock
