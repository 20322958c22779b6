// The binary as systemd meets it.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/test_notify_socket.h"
#include "base/test_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kBinary[] = "stage_server/penstock-stage-server";

// Nobody listens on port 1.
std::vector<std::string> Flags() {
  return {"--coordinator", "127.0.0.1:1", "--server-id",
          absl::StrCat("main-test-", getpid())};
}

TEST(StageServerMainTest, IsReadyAndTurnsWithoutItsCoordinator) {
  TestNotifySocket systemd;
  setenv("WATCHDOG_USEC", "4000000", /*overwrite=*/1);
  TestProcess process(kBinary, Flags());
  unsetenv("WATCHDOG_USEC");
  EXPECT_NE(systemd.NextWith("READY=1"), "");
  EXPECT_EQ(systemd.Next(), "STATUS=idle; no coordinator\nWATCHDOG=1\n");
  EXPECT_EQ(systemd.Next(), "WATCHDOG=1\n");
  process.Signal(SIGTERM);
  EXPECT_THAT(systemd.NextWith("STOPPING=1"), HasSubstr("told to stop"));
  EXPECT_EQ(process.Wait().second, 0);
}

TEST(StageServerMainTest, IsNotReadyWithADeviceThatIsNotThere) {
  TestNotifySocket systemd;
  std::vector<std::string> flags = Flags();
  flags.insert(flags.end(), {"--device", "abacus"});
  TestProcess process(kBinary, flags);
  const auto [errors, status] = process.Wait();
  EXPECT_EQ(status, 1);
  EXPECT_THAT(errors, HasSubstr("abacus"));
  EXPECT_EQ(systemd.NextIfAny(), "");
}

}  // namespace
}  // namespace penstock
