#include "stage_server/service/server_id.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

std::string Folder() {
  return absl::StrCat(
      ::testing::TempDir(), "/",
      ::testing::UnitTest::GetInstance()->current_test_info()->name());
}

TEST(KeptServerIdTest, TheFirstIdIsKept) {
  EXPECT_EQ(*KeptServerId(Folder(), "one"), "one");
  EXPECT_EQ(*KeptServerId(Folder(), "two"), "one");
}

TEST(KeptServerIdTest, AFileWithoutAnIdIsRefusedByName) {
  ASSERT_TRUE(MakeFolder(Folder()).ok());
  for (const char* bad : {"", "\n", "two words", "a\nb"}) {
    ASSERT_TRUE(WriteFileAtomically(Folder() + "/server_id", bad).ok());
    const auto id = KeptServerId(Folder(), "one");
    EXPECT_EQ(id.status().code(), absl::StatusCode::kDataLoss) << bad;
    EXPECT_THAT(id.status().message(), HasSubstr("/server_id"));
  }
}

TEST(KeptServerIdTest, AFolderThatCannotBeMadeIsAnError) {
  ASSERT_TRUE(WriteFileAtomically(Folder(), "a file").ok());
  EXPECT_FALSE(KeptServerId(Folder() + "/sub", "one").ok());
}

}  // namespace
}  // namespace penstock
