#include "base/file_lock.h"

#include <unistd.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Path(absl::string_view name) {
  return absl::StrCat(::testing::TempDir(), "/", name);
}

TEST(FileLockTest, ASecondOwnerIsRefusedWithTheFirstOnesProcess) {
  const auto first = FileLock::Take(Path("a"));
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = FileLock::Take(Path("a")).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  EXPECT_THAT(std::string(second.message()),
              HasSubstr(absl::StrCat("process ", getpid(), " on ")));
  EXPECT_THAT(std::string(second.message()), HasSubstr(Path("a")));
}

TEST(FileLockTest, ItIsFreeOnceItsOwnerIsGoneAndTheFileStays) {
  std::optional<FileLock> first(FileLock::Take(Path("b")).value());
  first.reset();
  EXPECT_TRUE(FileLock::Take(Path("b")).ok());
  EXPECT_THAT(ReadFile(Path("b")).value(),
              StartsWith(absl::StrCat(getpid(), " on ")));
}

TEST(FileLockTest, AFolderThatIsNotThereIsNamed) {
  const absl::Status status = FileLock::Take(Path("none/lock")).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("none/lock"));
}

}  // namespace
}  // namespace penstock
