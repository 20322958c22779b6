// The binary as an operator meets it.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/test_notify_socket.h"
#include "base/test_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kBinary[] = "coordinator/penstock-coordinator";

class Process : public TestProcess {
 public:
  explicit Process(std::vector<std::string> flags)
      : TestProcess(kBinary, std::move(flags)) {}
};

class CoordinatorMainTest : public ::testing::Test {
 protected:
  CoordinatorMainTest()
      : folder_(absl::StrCat(::testing::TempDir(), "/main-", getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~CoordinatorMainTest() override { std::filesystem::remove_all(folder_); }

  // Each store has a folder of checkpoints of its own.
  std::vector<std::string> Flags(const std::string& store,
                                 const std::string& listen = "127.0.0.1:0") {
    return {"--listen",       listen,
            "--store",        folder_ + "/" + store,
            "--address-file", AddressFile(store),
            "--checkpoints",  folder_ + "/" + store + ".checkpoints"};
  }
  std::string AddressFile(const std::string& store) const {
    return folder_ + "/" + store + ".address";
  }
  std::string AddressOf(const std::string& store) const {
    const std::string content = ReadFile(AddressFile(store)).value_or("");
    return std::string(absl::StripAsciiWhitespace(content));
  }

  const std::string folder_;
};

TEST_F(CoordinatorMainTest, SigtermAndSigintEndItCleanly) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Process process(Flags("store"));
    ASSERT_THAT(process.WaitForLine("serving on"), HasSubstr("127.0.0.1:"));
    process.Signal(signal);
    EXPECT_EQ(process.Wait().second, 0);
    EXPECT_FALSE(std::filesystem::exists(AddressFile("store")));
  }
}

TEST_F(CoordinatorMainTest, EachStartIsALaterTerm) {
  for (const char* term : {"term 1:", "term 2:"}) {
    Process process(Flags("store"));
    EXPECT_NE(process.WaitForLine(term), "");
    ASSERT_NE(process.WaitForLine("serving on"), "");
    process.Signal(SIGKILL);
    process.Wait();
  }
}

TEST_F(CoordinatorMainTest, PortInUseIsOneClearLine) {
  Process first(Flags("a"));
  ASSERT_NE(first.WaitForLine("serving on"), "");
  const std::string address = AddressOf("a");
  Process second(Flags("b", address));
  const auto [errors, status] = second.Wait();
  EXPECT_EQ(status, 69);
  EXPECT_THAT(errors, HasSubstr("penstock-coordinator: cannot listen on " +
                                address + ": Address already in use\n"));
}

TEST_F(CoordinatorMainTest, StoreInUseNamesTheOwner) {
  Process first(Flags("store"));
  ASSERT_NE(first.WaitForLine("serving on"), "");
  Process second(Flags("store"));
  const auto [errors, status] = second.Wait();
  EXPECT_EQ(status, 69);
  EXPECT_THAT(errors, HasSubstr(absl::StrCat("process ", first.pid())));
}

TEST_F(CoordinatorMainTest, CheckpointsInUseNameTheOwner) {
  Process first(Flags("a"));
  ASSERT_NE(first.WaitForLine("serving on"), "");
  std::vector<std::string> flags = Flags("b");
  flags.back() = folder_ + "/a.checkpoints";
  Process second(flags);
  const auto [errors, status] = second.Wait();
  EXPECT_EQ(status, 69);
  EXPECT_THAT(errors, HasSubstr(absl::StrCat("process ", first.pid())));
  EXPECT_THAT(errors, HasSubstr("name another folder"));
  first.Signal(SIGKILL);
  first.Wait();
  Process third(flags);
  EXPECT_NE(third.WaitForLine("serving on"), "");
}

TEST_F(CoordinatorMainTest, CheckpointsThatCannotBeKeptAreSaid) {
  ASSERT_TRUE(WriteFileAtomically(folder_ + "/file", "").ok());
  for (const std::string root : {"/file", "/file/below"}) {
    std::vector<std::string> flags = Flags("store");
    flags.back() = folder_ + root;
    Process process(flags);
    const auto [errors, status] = process.Wait();
    EXPECT_NE(status, 0) << root;
    EXPECT_THAT(errors, HasSubstr("folder of checkpoints " + folder_ + root));
  }
}

TEST_F(CoordinatorMainTest, AStoreElsewhereNeedsItsKey) {
  const auto run = [this](const std::vector<std::string>& more) {
    std::vector<std::string> flags = {"--store", folder_ + "/store"};
    flags.insert(flags.end(), more.begin(), more.end());
    return Process(flags).Wait();
  };
  const auto [no_key, no_key_status] =
      run({"--checkpoint-store", "127.0.0.1:1"});
  EXPECT_EQ(no_key_status, 2);
  EXPECT_THAT(no_key, HasSubstr("--checkpoint-store-key"));
  EXPECT_EQ(run({"--checkpoint-store-key", "key"}).second, 2);
  EXPECT_EQ(
      run({"--checkpoint-store", "nonsense", "--checkpoint-store-key", "key"})
          .second,
      2);
  EXPECT_EQ(run({"--checkpoint-store", "127.0.0.1:1", "--checkpoint-store-key",
                 "key", "--checkpoints", folder_})
                .second,
            2);
  ASSERT_TRUE(WriteFileAtomically(folder_ + "/key", "short\n").ok());
  const auto [short_key, short_key_status] =
      run({"--checkpoint-store", "127.0.0.1:1", "--checkpoint-store-key",
           folder_ + "/key", "--listen", "127.0.0.1:0"});
  EXPECT_EQ(short_key_status, 1);
  EXPECT_THAT(short_key, HasSubstr("wanted at least 16"));
}

TEST_F(CoordinatorMainTest, DamagedStoreIsRefusedWithAdvice) {
  ASSERT_TRUE(
      WriteFileAtomically(folder_ + "/store", std::string(4096, 'x')).ok());
  Process process(Flags("store"));
  const auto [errors, status] = process.Wait();
  EXPECT_EQ(status, 1);
  EXPECT_THAT(errors, HasSubstr(".recover"));
}

TEST_F(CoordinatorMainTest, AddressForOthersNeedsInsecure) {
  Process process({"--listen", "0.0.0.0:0", "--store", folder_ + "/store"});
  const auto [errors, status] = process.Wait();
  EXPECT_EQ(status, 2);
  EXPECT_THAT(errors, HasSubstr("--insecure"));
}

TEST_F(CoordinatorMainTest,
       AddressForOthersWantsCertificatesOrInsecureNotBoth) {
  const std::vector<std::string> flags = {"--listen", "0.0.0.0:0", "--store",
                                          folder_ + "/store"};
  std::vector<std::string> both = flags;
  both.insert(both.end(), {"--tls-dir", folder_, "--insecure"});
  Process process(both);
  const auto [errors, status] = process.Wait();
  EXPECT_EQ(status, 2);
  EXPECT_THAT(errors, HasSubstr("leave one of them out"));
  std::vector<std::string> missing = flags;
  missing.insert(missing.end(), {"--tls-dir", folder_ + "/none"});
  Process without(missing);
  const auto [more_errors, more_status] = without.Wait();
  EXPECT_EQ(more_status, 1);
  EXPECT_THAT(more_errors, HasSubstr("/none/ca.crt"));
}

TEST_F(CoordinatorMainTest, WrongUsageIsExitStatusTwo) {
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{{"--no-such-flag"},
                                             {"--heartbeat", "soon"},
                                             {"--heartbeat", "-1s"},
                                             {"--listen", "nonsense"},
                                             {"--lost-after", "1s"}}) {
    Process process(flags);
    EXPECT_EQ(process.Wait().second, 2) << flags[0];
  }
}

TEST_F(CoordinatorMainTest, EndsWithItsParent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    std::vector<std::string> flags = Flags("store");
    flags.push_back(absl::StrCat("--exit-with-parent=", getpid()));
    Process process(flags);
    const bool serving = !process.WaitForLine("serving on").empty();
    const pid_t child = serving ? process.pid() : 0;
    _exit(write(ends[1], &child, sizeof(child)) == sizeof(child) ? 0 : 1);
  }
  close(ends[1]);
  pid_t child = 0;
  ASSERT_EQ(read(ends[0], &child, sizeof(child)), sizeof(child));
  ASSERT_GT(child, 0);
  // The grandchild holds the pipe's other end until it ends.
  char byte;
  EXPECT_EQ(read(ends[0], &byte, 1), 0);
  waitpid(parent, nullptr, 0);
}

TEST_F(CoordinatorMainTest, TellsSystemdWhatItDoes) {
  TestNotifySocket systemd;
  setenv("WATCHDOG_USEC", "20000000", /*overwrite=*/1);
  Process process(Flags("store"));
  unsetenv("WATCHDOG_USEC");
  ASSERT_NE(process.WaitForLine("serving on"), "");
  // In either order: the loop turns before the port is open.
  std::string told = systemd.Next();
  absl::StrAppend(&told, systemd.NextWith("STATUS="));
  EXPECT_THAT(told, HasSubstr("READY=1\nSTATUS=serving on " +
                              AddressOf("store") + "\n"));
  EXPECT_THAT(told, HasSubstr("STATUS=no jobs; 0 of 0 stage servers connected\n"
                              "WATCHDOG=1\n"));
  process.Signal(SIGTERM);
  EXPECT_NE(systemd.NextWith("STOPPING=1"), "");
  EXPECT_EQ(process.Wait().second, 0);
}

// A store that it cannot have is found out before it says that it is ready.
TEST_F(CoordinatorMainTest, IsNotReadyWithoutItsStore) {
  Process first(Flags("store"));
  ASSERT_NE(first.WaitForLine("serving on"), "");
  TestNotifySocket systemd;
  Process second(Flags("store"));
  EXPECT_EQ(second.Wait().second, 69);
  EXPECT_EQ(systemd.NextIfAny(), "");
}

TEST_F(CoordinatorMainTest, AHeartbeatThatIsLongForTheWatchdogIsRefused) {
  setenv("WATCHDOG_USEC", "3000000", /*overwrite=*/1);
  Process process(Flags("store"));
  unsetenv("WATCHDOG_USEC");
  const auto [errors, status] = process.Wait();
  EXPECT_EQ(status, 2);
  EXPECT_THAT(errors, HasSubstr("--heartbeat 1s is too long"));
  EXPECT_THAT(errors, HasSubstr("WatchdogSec=, 3s"));
}

TEST_F(CoordinatorMainTest, RefusesAParentThatIsNotItsOwn) {
  std::vector<std::string> flags = Flags("store");
  flags.push_back("--exit-with-parent=1");
  Process process(flags);
  const auto [output, code] = process.Wait();
  EXPECT_EQ(code, 1);
  EXPECT_THAT(output, HasSubstr("process 1"));
}

}  // namespace
}  // namespace penstock
