// Real processes: one of two is killed while both send and receive, at another
// moment each round. The survivor must notice, name the rank, and be rid of
// its transport within 100 ms, through shared memory as over TCP.

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/stage_service.pb.h"
#include "stage_server/transport/ucx/ucx_transport.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// What a socket does not take at once.
constexpr size_t kTensor = 8 << 20;
// For each way.
constexpr int kRounds = 50;

// A text in one packet of a SOCK_SEQPACKET socket.
void Say(int socket, const std::string& text) {
  if (write(socket, text.data(), text.size()) !=
      static_cast<ssize_t>(text.size())) {
    _exit(2);
  }
}

// Empty when the other end is closed.
std::string Hear(int socket) {
  std::string text(1 << 16, '\0');
  const ssize_t size = read(socket, text.data(), text.size());
  text.resize(std::max<ssize_t>(size, 0));
  return text;
}

std::string ToText(const TransportAddress& address) {
  DataAddress proto;
  proto.set_host_identity(address.host_identity);
  for (const auto& [key, bytes] : address.addresses) {
    (*proto.mutable_addresses())[key] = bytes;
  }
  return proto.SerializeAsString();
}

TransportAddress FromText(const std::string& text) {
  DataAddress proto;
  proto.ParseFromString(text);
  TransportAddress address;
  address.host_identity = proto.host_identity();
  address.addresses.insert(proto.addresses().begin(), proto.addresses().end());
  return address;
}

// Connects with the other process through `socket`.
absl::StatusOr<std::unique_ptr<Transport>> Connect(
    RankId rank, const std::string& host_identity, int socket) {
  UcxOptions options;
  options.host_identity = host_identity;
  PENSTOCK_ASSIGN_OR_RETURN(const auto endpoint, MakeUcxEndpoint(options));
  PENSTOCK_ASSIGN_OR_RETURN(const TransportAddress own, endpoint->Address());
  Say(socket, ToText(own));
  ConnectRequest request;
  request.job_epoch = 1;
  request.rank = rank;
  request.epoch_secret = "secret";
  request.peers = {own, own};
  request.peers[1 - rank.value()] = FromText(Hear(socket));
  request.channels = {{ChannelId(0), RankId(0), RankId(1), "x 0>1"},
                      {ChannelId(1), RankId(1), RankId(0), "x 1>0"}};
  request.deadline = absl::Now() + absl::Seconds(20);
  return endpoint->Connect(request);
}

// Exchanges tensors until that fails.
absl::Status Exchange(RankId rank, Transport& transport) {
  const ChannelId out(rank.value()), in(1 - rank.value());
  const MessageHeader header = {1, 0, DTYPE_FLOAT32, {kTensor / 4}};
  std::vector<std::byte> sent(kTensor), received(kTensor);
  while (true) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    PENSTOCK_ASSIGN_OR_RETURN(
        const RequestId receive,
        transport.PostReceive(in, header, absl::MakeSpan(received)));
    PENSTOCK_ASSIGN_OR_RETURN(const RequestId send,
                              transport.PostSend(out, header, sent));
    PENSTOCK_RETURN_IF_ERROR(transport.Wait(receive, deadline));
    PENSTOCK_RETURN_IF_ERROR(transport.Wait(send, deadline));
  }
}

// A rank's process. Says on `report` when it is connected and how it ended.
[[noreturn]] void RunRank(RankId rank, const std::string& host_identity,
                          int socket, int report) {
  auto transport = Connect(rank, host_identity, socket);
  if (!transport.ok()) {
    Say(report, transport.status().ToString());
    _exit(1);
  }
  Say(report, "connected");
  const absl::Status status = Exchange(rank, **transport);
  const int64_t begin = MonotonicNanos();
  transport->reset();
  const int64_t millis = (MonotonicNanos() - begin) / 1'000'000;
  Say(report, status.ToString());
  Say(report, absl::StrCat(millis));
  _exit(0);
}

struct RankProcess {
  pid_t pid;
  int report;
};

// `others_end` is the peer's, which must close with the peer.
RankProcess Start(RankId rank, const std::string& host_identity, int socket,
                  int others_end) {
  int report[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, report), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    close(others_end);
    close(report[0]);
    RunRank(rank, host_identity, socket, report[1]);
  }
  close(report[1]);
  return {pid, report[0]};
}

int WaitFor(pid_t pid) {
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

// Up to 8 ms: some tensors, or the middle of the first one.
void LetThemExchange(uint64_t round) {
  const int64_t until = MonotonicNanos() + RandomKey(2024, {round}) % 8'000'000;
  while (MonotonicNanos() < until) std::this_thread::yield();
}

class UcxKillTest : public ::testing::TestWithParam<const char*> {};

TEST_P(UcxKillTest, ASurvivorNamesTheKilledRankAndEndsSoon) {
  const bool one_host = std::string(GetParam()) == "shared_memory";
  std::vector<int> millis;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
    const RankProcess survivor =
        Start(RankId(0), "host 0", sockets[0], sockets[1]);
    const RankProcess victim = Start(RankId(1), one_host ? "host 0" : "host 1",
                                     sockets[1], sockets[0]);
    close(sockets[0]);
    close(sockets[1]);
    EXPECT_EQ(Hear(survivor.report), "connected");
    EXPECT_EQ(Hear(victim.report), "connected");
    LetThemExchange(round);
    kill(victim.pid, SIGKILL);
    EXPECT_THAT(Hear(survivor.report),
                HasSubstr("UNAVAILABLE: rank 1 is gone"));
    millis.push_back(std::atoi(Hear(survivor.report).c_str()));
    EXPECT_EQ(WaitFor(survivor.pid), 0) << "the survivor did not end well";
    WaitFor(victim.pid);
    close(survivor.report);
    close(victim.report);
  }
  ASSERT_FALSE(millis.empty());
  std::sort(millis.begin(), millis.end());
  // The median, for machines that do other work as well.
  EXPECT_LE(millis[millis.size() / 2], 100);
}

INSTANTIATE_TEST_SUITE_P(Ways, UcxKillTest,
                         ::testing::Values("shared_memory", "tcp"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace penstock
