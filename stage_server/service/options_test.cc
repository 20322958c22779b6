#include "stage_server/service/options.h"

#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::variant<ServerOptions, PrintAndExit>> Parse(
    std::vector<std::string> arguments) {
  return ParseOptions(arguments, {/*coordinator=*/"", /*state_dir=*/"/state"});
}

std::string ErrorOf(std::vector<std::string> arguments) {
  return std::string(Parse(arguments).status().message());
}

TEST(ParseOptionsTest, TheCoordinatorIsAllThatIsNeeded) {
  const auto parsed = Parse({"--coordinator", "127.0.0.1:7070"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto& options = std::get<ServerOptions>(*parsed);
  EXPECT_EQ(options.coordinator, "127.0.0.1:7070");
  EXPECT_EQ(options.state_dir, "/state");
  EXPECT_EQ(options.device, "cpu");
  EXPECT_EQ(options.data_interface, "lo");
  EXPECT_EQ(options.exit_with_parent, 0);
}

TEST(ParseOptionsTest, AFlagWinsOverTheEnvironment) {
  const auto parsed =
      ParseOptions({"--coordinator=127.0.0.1:1", "--state-dir=/flag"},
                   {"127.0.0.1:2", "/environment"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(std::get<ServerOptions>(*parsed).coordinator, "127.0.0.1:1");
  EXPECT_EQ(std::get<ServerOptions>(*parsed).state_dir, "/flag");
}

TEST(ParseOptionsTest, TheEnvironmentStandsInForAFlag) {
  const auto parsed = ParseOptions({}, {"127.0.0.1:2", "/environment"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(std::get<ServerOptions>(*parsed).coordinator, "127.0.0.1:2");
}

TEST(ParseOptionsTest, AMissingCoordinatorSaysHowToGiveOne) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("--coordinator 127.0.0.1:7070"));
}

TEST(ParseOptionsTest, AnAddressNeedsHostAndPort) {
  for (const char* bad : {"localhost", "localhost:", ":70", "localhost:x",
                          "localhost:0", "localhost:65536"}) {
    EXPECT_THAT(ErrorOf({"--coordinator", bad}), HasSubstr("no host:port"))
        << bad;
  }
}

TEST(ParseOptionsTest, AnotherMachineNeedsInsecure) {
  EXPECT_THAT(ErrorOf({"--coordinator", "head:7070"}), HasSubstr("--insecure"));
  EXPECT_TRUE(Parse({"--coordinator", "head:7070", "--insecure"}).ok());
}

TEST(ParseOptionsTest, AnotherMachineIsReachedWithCertificates) {
  const auto parsed =
      Parse({"--coordinator", "head:7070", "--memory-listen", "10.0.0.7:7072",
             "--tls-dir", "/etc/penstock/tls"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(std::get<ServerOptions>(*parsed).tls,
            TlsFilesIn("/etc/penstock/tls"));
  EXPECT_THAT(ErrorOf({"--coordinator", "head:7070"}), HasSubstr("--tls-dir"));
  EXPECT_THAT(ErrorOf({"--coordinator", "head:7070", "--tls-dir", "/tls",
                       "--insecure"}),
              HasSubstr("leave one of them out"));
  EXPECT_THAT(ErrorOf({"--coordinator", "head:7070", "--tls-ca", "ca.crt"}),
              HasSubstr("--tls-cert is missing"));
}

TEST(ParseOptionsTest, MemoryIsBytesOrASize) {
  const auto memory = [](const std::string& text) {
    const auto parsed =
        Parse({"--coordinator=127.0.0.1:7070", "--memory", text});
    return parsed.ok() ? std::get<ServerOptions>(*parsed).memory_bytes : -1;
  };
  EXPECT_EQ(memory("1000"), 1000);
  EXPECT_EQ(memory("8GiB"), int64_t{8} << 30);
  EXPECT_EQ(memory("512 MiB"), int64_t{512} << 20);
  EXPECT_EQ(memory("much"), -1);
  EXPECT_EQ(memory("-1"), -1);
  EXPECT_EQ(memory("0"), -1);
}

TEST(ParseOptionsTest, MemoryIsServedWhereOthersReachIt) {
  const auto with = [](std::vector<std::string> more) {
    more.insert(more.begin(), "--coordinator=127.0.0.1:7070");
    return ErrorOf(more);
  };
  EXPECT_EQ(with({"--memory-listen=127.0.0.1:0"}), "");
  EXPECT_EQ(with({"--memory-listen=10.0.0.7:7072", "--insecure"}), "");
  EXPECT_THAT(with({"--memory-listen=10.0.0.7:7072"}), HasSubstr("--insecure"));
  for (const char* bad : {"10.0.0.7", ":1", "0.0.0.0:1", "[::]:1", "a:65536"}) {
    EXPECT_THAT(with({"--insecure", "--memory-listen", bad}),
                HasSubstr("other servers can reach"))
        << bad;
  }
}

TEST(ParseOptionsTest, WaitsAreNotNegative) {
  for (const char* option : {"--memory-keep", "--leave-deadline"}) {
    EXPECT_THAT(ErrorOf({"--coordinator=127.0.0.1:1", option, "-1"}),
                HasSubstr(option));
    EXPECT_EQ(ErrorOf({"--coordinator=127.0.0.1:1", option, "0"}), "");
  }
}

TEST(ParseOptionsTest, ARankIsHandedOverUnlessToldOtherwise) {
  const auto leave = [](std::vector<std::string> more) {
    more.insert(more.begin(), "--coordinator=127.0.0.1:7070");
    return std::get<ServerOptions>(*Parse(more)).leave_deadline_seconds;
  };
  EXPECT_EQ(leave({}), 30);
  EXPECT_EQ(leave({"--leave-deadline=0"}), 0);
}

TEST(ParseOptionsTest, AnUnknownOptionIsNamed) {
  EXPECT_THAT(ErrorOf({"--coordinator=127.0.0.1:1", "--bogus"}),
              HasSubstr("--bogus"));
}

TEST(ParseOptionsTest, AnIdNeedsAFolderOrTheOption) {
  EXPECT_THAT(
      ParseOptions({"--coordinator=127.0.0.1:1"}, {"", ""}).status().message(),
      HasSubstr("--state-dir"));
  EXPECT_TRUE(
      ParseOptions({"--coordinator=127.0.0.1:1", "--server-id=a"}, {"", ""})
          .ok());
}

TEST(ParseOptionsTest, HelpShowsExamplesAndExitCodes) {
  const auto parsed = Parse({"--help"});
  ASSERT_TRUE(parsed.ok());
  const std::string& text = std::get<PrintAndExit>(*parsed).text;
  EXPECT_THAT(text, HasSubstr("Examples:"));
  EXPECT_THAT(text, HasSubstr("Exit codes:"));
  EXPECT_THAT(text, HasSubstr("--exit-with-parent"));
}

TEST(ParseOptionsTest, VersionNamesTheProgram) {
  const auto parsed = Parse({"--version"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_THAT(std::get<PrintAndExit>(*parsed).text,
              HasSubstr("penstock-stage-server 0."));
}

TEST(IsLoopbackTest, OnlyThisMachinesNamesAre) {
  for (const char* yes :
       {"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(IsLoopback(yes)) << yes;
  }
  for (const char* no :
       {"10.0.0.1:1", "127.example.com:1", "0.0.0.0:1", "[::]:1", "head:1"}) {
    EXPECT_FALSE(IsLoopback(no)) << no;
  }
}

}  // namespace
}  // namespace penstock
