#include "base/metrics_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Metric> TwoMetrics() {
  return {{"penstock_jobs",
           MetricKind::kGauge,
           "Jobs by state",
           {{{{"state", "RUNNING"}}, 2}}},
          {"penstock_events_total",
           MetricKind::kCounter,
           "Entries of the event log",
           {{{}, 17}}},
          {"penstock_nothing", MetricKind::kGauge, "Nothing has it", {}}};
}

// What the server says to `request`, sent as it is.
std::string Answer(const std::string& address, const std::string& request) {
  const size_t colon = address.rfind(':');
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(colon + 1), &port));
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  EXPECT_EQ(send(socket, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  shutdown(socket, SHUT_WR);
  std::string answer;
  char buffer[4096];
  while (true) {
    const ssize_t got = recv(socket, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    answer.append(buffer, got);
  }
  close(socket);
  return answer;
}

constexpr char kScrape[] =
    "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

TEST(MetricsPort, ServesWhatIsCollected) {
  const auto port = MetricsPort::Start("127.0.0.1:0", TwoMetrics);
  ASSERT_TRUE(port.ok()) << port.status();
  const std::string answer = Answer((*port)->address(), kScrape);
  EXPECT_THAT(answer, AllOf(HasSubstr("200 OK"),
                            HasSubstr("# HELP penstock_jobs Jobs by state"),
                            HasSubstr("# TYPE penstock_jobs gauge"),
                            HasSubstr("penstock_jobs{state=\"RUNNING\"} 2"),
                            HasSubstr("# TYPE penstock_events_total counter"),
                            HasSubstr("penstock_events_total 17")));
}

TEST(MetricsPort, LeavesOutWhatNothingHas) {
  const auto port = MetricsPort::Start("127.0.0.1:0", TwoMetrics);
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_THAT(Answer((*port)->address(), kScrape),
              Not(HasSubstr("penstock_nothing")));
}

TEST(MetricsPort, OutlivesRubbish) {
  const auto port = MetricsPort::Start("127.0.0.1:0", TwoMetrics);
  ASSERT_TRUE(port.ok()) << port.status();
  Answer((*port)->address(), std::string(100'000, '\x80'));
  Answer((*port)->address(), "PUT /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(Answer((*port)->address(),
                     "GET /../../etc/passwd HTTP/1.1\r\n"
                     "Host: a\r\nConnection: close\r\n\r\n"),
              Not(HasSubstr("root:")));
  EXPECT_THAT(Answer((*port)->address(), kScrape), HasSubstr("200 OK"));
}

TEST(MetricsPort, SaysWhichAddressIsTaken) {
  const auto first = MetricsPort::Start("127.0.0.1:0", TwoMetrics);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = MetricsPort::Start((*first)->address(), TwoMetrics);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr((*first)->address()));
}

TEST(MetricsPort, RefusesWhatIsNoAddress) {
  for (const std::string address : {"", "9464", "localhost:", ":9464", "a:b",
                                    "127.0.0.1:70000", "127.0.0.1:-1"}) {
    const auto port = MetricsPort::Start(address, TwoMetrics);
    EXPECT_EQ(port.status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

}  // namespace
}  // namespace penstock
