#include "base/supervisor.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/test_notify_socket.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class SupervisorTest : public ::testing::Test {
 protected:
  ~SupervisorTest() override {
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
  }
  static void Watch(const std::string& micros, int pid) {
    setenv("WATCHDOG_USEC", micros.c_str(), /*overwrite=*/1);
    setenv("WATCHDOG_PID", absl::StrCat(pid).c_str(), /*overwrite=*/1);
  }

  TestNotifySocket socket_;
  int64_t now_ = 100 * kSecond;
  const std::function<int64_t()> clock_ = [this] { return now_; };
};

TEST_F(SupervisorTest, ReadyAndStoppingCarryAStatus) {
  Supervisor supervisor(clock_);
  supervisor.Ready("serving on\n[::1]:7070");
  EXPECT_EQ(socket_.NextIfAny(), "READY=1\nSTATUS=serving on [::1]:7070\n");
  supervisor.Stopping("told to stop");
  EXPECT_EQ(socket_.NextIfAny(), "STOPPING=1\nSTATUS=told to stop\n");
}

TEST_F(SupervisorTest, AStatusIsToldWhenItChanges) {
  Supervisor supervisor(clock_);
  supervisor.Turned("idle");
  EXPECT_EQ(socket_.NextIfAny(), "STATUS=idle\n");
  now_ += 10 * kSecond;
  supervisor.Turned("idle");
  EXPECT_EQ(socket_.NextIfAny(), "");
  supervisor.Turned("step 1");
  EXPECT_EQ(socket_.NextIfAny(), "STATUS=step 1\n");
}

TEST_F(SupervisorTest, ManyChangesAreToldOnceASecond) {
  Supervisor supervisor(clock_);
  supervisor.Turned("step 1");
  socket_.NextIfAny();
  for (int step = 2; step < 100; ++step) {
    now_ += kSecond / 100;
    supervisor.Turned(absl::StrCat("step ", step));
  }
  EXPECT_EQ(socket_.NextIfAny(), "");
  now_ += kSecond / 50;
  supervisor.Turned("step 101");
  EXPECT_EQ(socket_.NextIfAny(), "STATUS=step 101\n");
}

TEST_F(SupervisorTest, TurnsFeedTheWatchdogFourTimesInItsPeriod) {
  Watch("20000000", getpid());
  Supervisor supervisor(clock_);
  EXPECT_EQ(supervisor.watchdog_period(), absl::Seconds(20));
  supervisor.Turned("idle");
  EXPECT_EQ(socket_.NextIfAny(), "STATUS=idle\nWATCHDOG=1\n");
  now_ += 5 * kSecond - 1;
  supervisor.Turned("idle");
  EXPECT_EQ(socket_.NextIfAny(), "");
  now_ += 1;
  supervisor.Turned("idle");
  EXPECT_EQ(socket_.NextIfAny(), "WATCHDOG=1\n");
}

TEST_F(SupervisorTest, AShortWatchdogDoesNotWaitForTheSecond) {
  Watch("400000", getpid());
  Supervisor supervisor(clock_);
  supervisor.Turned("idle");
  socket_.NextIfAny();
  now_ += kSecond / 10;
  supervisor.Turned("idle");
  EXPECT_EQ(socket_.NextIfAny(), "WATCHDOG=1\n");
}

TEST_F(SupervisorTest, NothingFeedsTheWatchdogWithoutATurn) {
  Watch("20000000", getpid());
  Supervisor supervisor(clock_);
  supervisor.Ready("serving");
  EXPECT_EQ(socket_.NextIfAny(), "READY=1\nSTATUS=serving\n");
  now_ += 100 * kSecond;
  EXPECT_EQ(socket_.NextIfAny(), "");
}

TEST_F(SupervisorTest, WhatStopsIsKeptAliveAndKeepsItsStatus) {
  Watch("20000000", getpid());
  Supervisor supervisor(clock_);
  supervisor.Stopping("leaving");
  socket_.NextIfAny();
  now_ += 6 * kSecond;
  supervisor.Turned("step 7");
  EXPECT_EQ(socket_.NextIfAny(), "WATCHDOG=1\n");
}

// Of the process that systemd started; a child must not feed it.
TEST_F(SupervisorTest, TheWatchdogOfAnotherProcessIsNotFed) {
  Watch("20000000", getpid() + 1);
  Supervisor supervisor(clock_);
  EXPECT_EQ(supervisor.watchdog_period(), absl::InfiniteDuration());
  supervisor.Turned("idle");
  EXPECT_EQ(socket_.NextIfAny(), "STATUS=idle\n");
}

TEST_F(SupervisorTest, AGarbledWatchdogIsNone) {
  for (const char* micros : {"", "soon", "-5", "0"}) {
    Watch(micros, getpid());
    EXPECT_EQ(Supervisor().watchdog_period(), absl::InfiniteDuration())
        << micros;
  }
}

TEST_F(SupervisorTest, NobodyListeningIsNoError) {
  setenv("NOTIFY_SOCKET", "/no/such/socket", /*overwrite=*/1);
  Supervisor supervisor(clock_);
  supervisor.Ready("serving");
  supervisor.Turned("idle");
  unsetenv("NOTIFY_SOCKET");
  supervisor.Stopping("stopped");
  EXPECT_EQ(socket_.NextIfAny(), "");
}

}  // namespace
}  // namespace penstock
