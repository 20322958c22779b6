#include "checkpoint/store/root_lock.h"

#include <unistd.h>

#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/store/checkpoint_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Root(absl::string_view name) {
  const std::string root = absl::StrCat(::testing::TempDir(), "/", name);
  std::filesystem::remove_all(root);
  EXPECT_EQ(MakeFolder(root), absl::OkStatus());
  return root;
}

TEST(LockRootTest, ASecondOwnerIsToldWhoHasIt) {
  const std::string root = Root("owned");
  const auto first = LockRoot(root);
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = LockRoot(root).status();
  EXPECT_TRUE(absl::IsUnavailable(second)) << second;
  EXPECT_THAT(std::string(second.message()),
              AllOf(HasSubstr(root), HasSubstr(absl::StrCat(getpid())),
                    HasSubstr("name another folder")));
}

TEST(LockRootTest, TheLockIsNoJob) {
  const std::string root = Root("with_lock");
  const auto lock = LockRoot(root);
  ASSERT_TRUE(lock.ok()) << lock.status();
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  const auto store = CheckpointStore::Open(*files, root);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(store->ListJobs().value(), IsEmpty());
}

TEST(LockRootTest, ARootThatIsNotThereIsNamed) {
  const absl::Status status = LockRoot("/no/such/root").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/root"));
}

}  // namespace
}  // namespace penstock
