#include "stage_server/service/local_host.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(LocalHostTowardsTest, ThisMachineIsReachedOverItsLoopback) {
  EXPECT_EQ(LocalHostTowards("127.0.0.1:7070").value_or("?"), "127.0.0.1");
  EXPECT_EQ(LocalHostTowards("localhost:7070").ok(), true);
}

TEST(LocalHostTowardsTest, AnAddressWithoutAPortIsNone) {
  EXPECT_TRUE(absl::IsInvalidArgument(LocalHostTowards("host").status()));
}

TEST(LocalHostTowardsTest, AHostThatIsNotKnownIsNamed) {
  const absl::Status status = LocalHostTowards("no such host:1").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("no such host"), std::string::npos);
}

}  // namespace
}  // namespace penstock
