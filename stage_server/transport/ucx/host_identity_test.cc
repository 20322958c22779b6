#include "stage_server/transport/ucx/host_identity.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(HostIdentityTest, IsTheSameEachTimeAndOneLine) {
  const auto identity = HostIdentity("");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(*identity, HostIdentity("").value());
  EXPECT_THAT(*identity, ::testing::Not(::testing::HasSubstr("\n")));
  EXPECT_GT(identity->size(), 36u);
}

TEST(HostIdentityTest, IsTheOverrideIfThereIsOne) {
  EXPECT_EQ(HostIdentity("rack 2").value(), "rack 2");
}

TEST(HostIdentityTest, NamesANamespaceThatDoesNotExist) {
  const auto inode = NamespaceInode("nonsense");
  EXPECT_EQ(inode.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(inode.status().message()),
              ::testing::HasSubstr("/proc/self/ns/nonsense"));
}

}  // namespace
}  // namespace penstock
