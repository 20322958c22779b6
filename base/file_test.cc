#include "base/file.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

std::string Path(absl::string_view name) {
  return absl::StrCat(::testing::TempDir(), "/", name);
}

TEST(FileTest, WhatIsWrittenIsRead) {
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "one\n").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "two\n").ok());
  EXPECT_EQ(ReadFile(Path("a")).value_or("?"), "two\n");
  EXPECT_FALSE(std::filesystem::exists(Path("a.tmp")));
}

TEST(FileTest, MissingFileIsNotFoundAndNamed) {
  const absl::Status status = ReadFile(Path("missing")).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing"));
}

TEST(FileTest, FullDiskLeavesNothingBehind) {
  const absl::Status status = ErrnoStatus(ENOSPC, "write", "x");
  EXPECT_TRUE(absl::IsResourceExhausted(status));
}

TEST(MappedFileTest, ShowsTheBytesAndSurvivesAMove) {
  ASSERT_TRUE(WriteFileAtomically(Path("m"), "abc").ok());
  absl::StatusOr<MappedFile> file = MappedFile::Open(Path("m"));
  ASSERT_TRUE(file.ok()) << file.status();
  const MappedFile moved = *std::move(file);
  ASSERT_EQ(moved.bytes().size(), 3);
  EXPECT_EQ(moved.bytes()[2], std::byte{'c'});
}

TEST(MappedFileTest, EmptyFileHasNoBytes) {
  ASSERT_TRUE(WriteFileAtomically(Path("e"), "").ok());
  const absl::StatusOr<MappedFile> file = MappedFile::Open(Path("e"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFileTest, FolderIsRefused) {
  EXPECT_TRUE(
      absl::IsInvalidArgument(MappedFile::Open(::testing::TempDir()).status()));
}

}  // namespace
}  // namespace penstock
