// The binary as an operator and a coordinator meet it.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/test_notify_socket.h"
#include "base/test_process.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/store/commit_store.h"
#include "checkpoint/transfer/remote_store.h"
#include "checkpoint/transfer/token.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kBinary[] = "checkpoint/penstock-store";
constexpr char kKey[] = "0123456789abcdef";

class Process : public TestProcess {
 public:
  explicit Process(std::vector<std::string> flags)
      : TestProcess(kBinary, std::move(flags)) {}
};

class StoreMainTest : public ::testing::Test {
 protected:
  StoreMainTest()
      : folder_(absl::StrCat(::testing::TempDir(), "/store-", getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    EXPECT_EQ(WriteFileAtomically(folder_ + "/key", absl::StrCat(kKey, "\n")),
              absl::OkStatus());
  }
  ~StoreMainTest() override { std::filesystem::remove_all(folder_); }

  std::vector<std::string> Flags(
      const std::string& listen = "127.0.0.1:0") const {
    return {"--root",         folder_ + "/root",   "--key-file",
            folder_ + "/key", "--listen",          listen,
            "--address-file", folder_ + "/address"};
  }
  std::string Address() const {
    const std::string content = ReadFile(folder_ + "/address").value_or("");
    return std::string(absl::StripAsciiWhitespace(content));
  }
  // Exit status and what was said.
  std::pair<std::string, int> Run(std::vector<std::string> flags) const {
    return Process(std::move(flags)).Wait();
  }

  const std::string folder_;
};

TEST_F(StoreMainTest, SigtermEndsItCleanly) {
  Process process(Flags());
  ASSERT_THAT(process.WaitForLine("serving"), HasSubstr("127.0.0.1:"));
  EXPECT_NE(Address(), "");
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait().second, 0);
  EXPECT_EQ(Address(), "");
}

TEST_F(StoreMainTest, TellsSystemdWhatItDoes) {
  TestNotifySocket systemd;
  setenv("WATCHDOG_USEC", "4000000", /*overwrite=*/1);
  Process process(Flags());
  unsetenv("WATCHDOG_USEC");
  ASSERT_NE(process.WaitForLine("serving"), "");
  EXPECT_EQ(systemd.Next(), absl::StrCat("READY=1\nSTATUS=serving ", folder_,
                                         "/root on ", Address(), "\n"));
  EXPECT_THAT(systemd.Next(), HasSubstr("WATCHDOG=1"));
  EXPECT_EQ(systemd.Next(), "WATCHDOG=1\n");
  std::filesystem::rename(folder_ + "/root", folder_ + "/moved");
  EXPECT_THAT(systemd.NextWith("STATUS="), HasSubstr(folder_ + "/root"));
  process.Signal(SIGTERM);
  EXPECT_NE(systemd.NextWith("STOPPING=1"), "");
  EXPECT_EQ(process.Wait().second, 0);
}

// kill -9 in the middle of a file, and again before the commit.
TEST_F(StoreMainTest, WhatItWasKilledInIsGoneOnWith) {
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  auto process = std::make_unique<Process>(Flags());
  ASSERT_NE(process->WaitForLine("serving"), "");
  const std::string address = Address();
  const auto restart = [&] {
    process->Kill();
    process = std::make_unique<Process>(Flags(address));
    ASSERT_NE(process->WaitForLine("serving"), "");
  };
  TransferClientOptions options;
  options.address = address;
  options.token = MakeTransferToken(kKey, {"job", 1});
  const auto shards = MakeTransferShardStore(options, SystemClock());
  for (const auto& [name, content] : checkpoint.shards) {
    auto upload = shards->Begin(checkpoint.manifest.id(), name, content.size());
    ASSERT_TRUE(upload.ok()) << upload.status();
    const absl::string_view whole = content;
    ASSERT_EQ((*upload)->Append(whole.substr(0, 10)), absl::OkStatus());
    restart();
    ASSERT_EQ((*upload)->Append(whole.substr(10)), absl::OkStatus());
    const auto stored = (*upload)->Finish();
    ASSERT_TRUE(stored.ok()) << stored.status();
  }
  restart();
  const auto store = MakeRemoteStore({address, kKey}, SystemClock());
  ASSERT_EQ(store->Commit(checkpoint.manifest), absl::OkStatus());
  restart();
  EXPECT_EQ(store->Verify(checkpoint.manifest.id(), nullptr), absl::OkStatus());
}

TEST_F(StoreMainTest, WrongUsageIsSaid) {
  EXPECT_EQ(Run({}).second, 2);
  const auto [open, open_code] = Run(Flags("0.0.0.0:0"));
  EXPECT_EQ(open_code, 2);
  EXPECT_THAT(open, HasSubstr("--insecure"));
  EXPECT_EQ(WriteFileAtomically(folder_ + "/key", "short\n"), absl::OkStatus());
  const auto [key, key_code] = Run(Flags());
  EXPECT_EQ(key_code, 2);
  EXPECT_THAT(key, HasSubstr("wanted at least 16"));
}

TEST_F(StoreMainTest, AKeyThatIsNotThereIsSaid) {
  std::filesystem::remove(folder_ + "/key");
  const auto [text, code] = Run(Flags());
  EXPECT_EQ(code, 1);
  EXPECT_THAT(text, HasSubstr("/key"));
}

TEST_F(StoreMainTest, ARootThatIsAFileIsRefused) {
  EXPECT_EQ(WriteFileAtomically(folder_ + "/root", ""), absl::OkStatus());
  const auto [text, code] = Run(Flags());
  EXPECT_EQ(code, 1);
  EXPECT_THAT(text, HasSubstr(folder_ + "/root"));
}

TEST_F(StoreMainTest, AFolderThatIsTakenIsSaidWithItsOwner) {
  Process first(Flags());
  ASSERT_NE(first.WaitForLine("serving"), "");
  const auto [text, code] = Run(Flags());
  EXPECT_EQ(code, 69);
  EXPECT_THAT(text, HasSubstr(absl::StrCat("process ", first.pid())));
  EXPECT_THAT(text, HasSubstr("name another folder"));
}

TEST_F(StoreMainTest, APortThatIsTakenIsSaid) {
  Process first(Flags());
  ASSERT_NE(first.WaitForLine("serving"), "");
  const std::string address = Address();
  std::vector<std::string> flags = Flags(address);
  flags[1] = folder_ + "/other-root";
  const auto [text, code] = Run(flags);
  EXPECT_EQ(code, 69);
  EXPECT_THAT(text, HasSubstr(address));
}

}  // namespace
}  // namespace penstock
