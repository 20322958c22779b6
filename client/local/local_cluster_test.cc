#include "client/local/local_cluster.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "client/local/background.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

class LocalClusterTest : public ::testing::Test {
 protected:
  LocalClusterTest() {
    folder_ = absl::StrCat(
        ::testing::TempDir(), "/",
        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    options_.folder = folder_;
    options_.binaries = {Script("coordinator", kReady),
                         Script("server", "exec sleep infinity\n")};
  }

  std::string Script(const std::string& name, const std::string& body) {
    const std::string path = absl::StrCat(folder_, "/", name);
    EXPECT_TRUE(
        WriteFileAtomically(path, absl::StrCat("#!/bin/sh\n", body)).ok());
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }

  // $6 is the address file.
  static constexpr char kReady[] =
      "echo 127.0.0.1:1 > \"$6.tmp\"\nmv \"$6.tmp\" \"$6\"\n"
      "exec sleep infinity\n";

  std::string folder_;
  LocalClusterOptions options_;
  Interrupt interrupt_;
};

TEST_F(LocalClusterTest, StartsWhenTheCoordinatorListensAndStopsAll) {
  options_.servers = 2;
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ((*cluster)->address(), "127.0.0.1:1");
  EXPECT_EQ((*cluster)->processes().size(), 3);
  EXPECT_TRUE((*cluster)->CheckChildren().ok());
  (*cluster)->Stop(absl::Seconds(30), interrupt_);
  for (const ChildProcess& child : (*cluster)->processes()) {
    EXPECT_EQ(child.ending(), "was killed by signal 15 (Terminated)");
  }
  EXPECT_FALSE(std::filesystem::exists(AddressFilePath(folder_)));
}

TEST_F(LocalClusterTest, StaleAddressFileIsNotTakenForTheNewOne) {
  ASSERT_TRUE(WriteFileAtomically(AddressFilePath(folder_), "stale").ok());
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ((*cluster)->address(), "127.0.0.1:1");
}

TEST_F(LocalClusterTest, ChildThatIgnoresSigtermIsKilled) {
  options_.binaries.stage_server =
      Script("server",
             "trap '' TERM\n: > \"$(dirname \"$0\")/trapped\"\n"
             "exec sleep infinity\n");
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  while (!std::filesystem::exists(absl::StrCat(folder_, "/trapped"))) {
    interrupt_.WaitFor(absl::Milliseconds(1));
  }
  (*cluster)->Stop(absl::Milliseconds(100), interrupt_);
  EXPECT_EQ((*cluster)->processes()[1].ending(),
            "was killed by signal 9 (Killed)");
}

TEST_F(LocalClusterTest, SecondInterruptSkipsTheGrace) {
  options_.binaries.stage_server =
      Script("server",
             "trap '' TERM\n: > \"$(dirname \"$0\")/trapped\"\n"
             "exec sleep infinity\n");
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  while (!std::filesystem::exists(absl::StrCat(folder_, "/trapped"))) {
    interrupt_.WaitFor(absl::Milliseconds(1));
  }
  std::atomic<bool> done = false;
  // Stop counts from its beginning, which only a later trip is sure to follow.
  std::thread user([&] {
    while (!done) {
      interrupt_.Trip();
      Interrupt().WaitFor(absl::Milliseconds(1));
    }
  });
  (*cluster)->Stop(absl::Hours(1), interrupt_);
  done = true;
  user.join();
  EXPECT_EQ((*cluster)->processes()[1].ending(),
            "was killed by signal 9 (Killed)");
}

TEST_F(LocalClusterTest, CoordinatorThatEndsIsQuoted) {
  options_.binaries.coordinator = Script("coordinator", "echo busy\nexit 3\n");
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(cluster.status().message()),
              HasSubstr("exited with 3 before it was ready"));
  EXPECT_THAT(std::string(cluster.status().message()), HasSubstr("busy"));
}

TEST_F(LocalClusterTest, CoordinatorThatNeverListensIsGivenUp) {
  options_.binaries.coordinator =
      Script("coordinator", "exec sleep infinity\n");
  options_.start_timeout = absl::Milliseconds(50);
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(LocalClusterTest, InterruptEndsTheStart) {
  options_.binaries.coordinator =
      Script("coordinator", "exec sleep infinity\n");
  const std::future<void> user =
      std::async(std::launch::async, [this] { interrupt_.Trip(); });
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kCancelled);
}

TEST_F(LocalClusterTest, MissingBinaryIsNamed) {
  options_.binaries.stage_server = "/nowhere/server";
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(cluster.status().message()),
              HasSubstr("/nowhere/server"));
}

TEST_F(LocalClusterTest, WatcherHearsOfAChildThatEnds) {
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  std::promise<bool> ended;
  (*cluster)->WatchChildren(
      [&ended](bool is_coordinator) { ended.set_value(is_coordinator); });
  kill((*cluster)->processes()[1].pid(), SIGKILL);
  EXPECT_FALSE(ended.get_future().get());
  EXPECT_THAT(std::string((*cluster)->CheckChildren().message()),
              HasSubstr("stage server 0 was killed by signal 9"));
}

TEST_F(LocalClusterTest, KilledParentTakesItsChildrenAlong) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    const auto child =
        ChildProcess::Start({.name = "child",
                             .binary = "/bin/sleep",
                             .arguments = {"infinity"},
                             .log_path = absl::StrCat(folder_, "/child.log")});
    const pid_t pid = child.ok() ? child->pid() : -1;
    if (write(pipe_fds[1], &pid, sizeof(pid)) < 0) _exit(1);
    pause();
    _exit(0);
  }
  pid_t child = -1;
  ASSERT_EQ(read(pipe_fds[0], &child, sizeof(child)), sizeof(child));
  ASSERT_GT(child, 0);
  const OwnedFd handle(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  pollfd ended{handle.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 30'000), 1);
}

TEST_F(LocalClusterTest, BackgroundProcessIsKnownByItsStartTime) {
  const auto cluster = LocalCluster::Start(options_, interrupt_);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const pid_t pid = (*cluster)->processes()[1].pid();
  const BackgroundProcess process{"server", pid, StartTicks(pid)};
  const BackgroundProcess later{"server", pid, process.start_ticks + 1};
  EXPECT_TRUE(IsRunning(process));
  EXPECT_FALSE(IsRunning(later));
  EXPECT_TRUE(EndProcess(later, absl::Seconds(1)).ok());
  EXPECT_TRUE(IsRunning(process));
  EXPECT_TRUE(EndProcess(process, absl::Seconds(30)).ok());
  EXPECT_FALSE(IsRunning(process));
}

TEST_F(LocalClusterTest, BackgroundRecordSurvivesAndDamageIsReported) {
  EXPECT_TRUE(absl::IsNotFound(ReadBackgroundRecord(folder_).status()));
  ASSERT_TRUE(
      WriteBackgroundRecord(folder_, {"127.0.0.1:1", {{"server", 12, 345}}})
          .ok());
  const auto record = ReadBackgroundRecord(folder_);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->address, "127.0.0.1:1");
  EXPECT_EQ(record->processes[0].start_ticks, 345);
  ASSERT_TRUE(
      WriteFileAtomically(absl::StrCat(folder_, "/processes.json"), "{").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(ReadBackgroundRecord(folder_).status()));
}

TEST(LastLinesTest, AreTheLast) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/lines");
  ASSERT_TRUE(WriteFileAtomically(path, "a\nb\n\nc\n").ok());
  EXPECT_EQ(LastLines(path, 2), "  b\n  c");
  EXPECT_EQ(LastLines(path, 9), "  a\n  b\n  c");
  EXPECT_EQ(LastLines("/nowhere/lines", 2), "");
}

}  // namespace
}  // namespace penstock
