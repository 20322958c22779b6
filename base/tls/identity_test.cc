#include "base/tls/identity.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

TEST(IdentityTest, UriSurvivesForEveryRole) {
  for (const Role role : AllRoles()) {
    const Identity identity{role, "gpu-1.rack_2"};
    const absl::StatusOr<Identity> read = ParseIdentityUri(ToUri(identity));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, identity);
  }
  EXPECT_EQ(ToUri({Role::kStageServer, "a"}), "penstock://stage-server/a");
}

TEST(IdentityTest, UriOfAnotherSpellingNamesNobody) {
  for (const char* uri :
       {"", "penstock:", "penstock://", "penstock://admin", "penstock://admin/",
        "penstock://root/a", "penstock://admin/a/b", "PENSTOCK://admin/a",
        "https://admin/a", " penstock://admin/a", "penstock://admin/a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseIdentityUri(uri).status())) << uri;
  }
}

TEST(IdentityTest, NameThatCouldLeaveItsFolderIsRefused) {
  for (const std::string& name :
       {std::string("."), std::string(".."), std::string("a/b"),
        std::string("-x"), std::string(""), std::string("a,DNS:b"),
        std::string("a\nb"), std::string("\xc3\xa4"), std::string(65, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckIdentityName(name))) << name;
  }
  EXPECT_TRUE(CheckIdentityName(std::string(64, 'a')).ok());
}

TEST(IdentityTest, WrongRoleIsToldTheRightOnes) {
  const std::string error(ParseRole("admn").status().message());
  EXPECT_THAT(error, HasSubstr("\"admn\" is no role"));
  EXPECT_THAT(error, HasSubstr("viewer, user, admin, stage-server"));
}

}  // namespace
}  // namespace penstock
