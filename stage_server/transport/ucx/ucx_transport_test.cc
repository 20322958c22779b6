#include "stage_server/transport/ucx/ucx_transport.h"

#include <dlfcn.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/transport/conformance.h"
#include "stage_server/transport/ucx/host_identity.h"

// UCX 1.13 leaks some bytes for each peer that it could not reach.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libuct.so\n";
}

namespace penstock {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::unique_ptr<TransportEndpoint> MakeOrDie(const UcxOptions& options) {
  auto endpoint = MakeUcxEndpoint(options);
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return *std::move(endpoint);
}

ConformanceSubject::EndpointMaker SharedMemoryFabric() {
  UcxOptions options;
  options.host_identity = "one host";
  return [options] { return MakeOrDie(options); };
}

// Each endpoint says that it is on a host of its own.
ConformanceSubject::EndpointMaker TcpFabric() {
  auto count = std::make_shared<std::atomic<int>>(0);
  return [count] {
    UcxOptions options;
    options.host_identity = "host " + std::to_string((*count)++);
    return MakeOrDie(options);
  };
}

ConformanceSubject::EndpointMaker SleepingFabric() {
  UcxOptions options;
  options.host_identity = "one host";
  options.spin = absl::ZeroDuration();
  return [options] { return MakeOrDie(options); };
}

INSTANTIATE_TEST_SUITE_P(
    Transports, TransportConformanceTest,
    ::testing::Values(ConformanceSubject{"ucx_shared_memory",
                                         SharedMemoryFabric,
                                         /*notices_lost_thread=*/false},
                      ConformanceSubject{"ucx_shared_memory_without_spinning",
                                         SleepingFabric,
                                         /*notices_lost_thread=*/false},
                      ConformanceSubject{"ucx_tcp", TcpFabric,
                                         /*notices_lost_thread=*/true}),
    ConformanceName);

// What Connect says to a request with these two channels, alone.
absl::Status ConnectAlone(std::vector<TransportAddress> peers, ChannelId id) {
  UcxOptions options;
  options.host_identity = "one host";
  const auto endpoint = MakeOrDie(options);
  ConnectRequest request;
  request.rank = RankId(0);
  peers.insert(peers.begin(), endpoint->Address().value());
  request.peers = peers;
  request.channels = {{id, RankId(0), RankId(1), "x 0>1"}};
  request.deadline = absl::Now() + absl::Seconds(1);
  return endpoint->Connect(request).status();
}

TEST(UcxEndpointTest, AnInterfaceThatDoesNotExistIsNamed) {
  UcxOptions options;
  options.interface = "nonsense0";
  const absl::Status status = MakeUcxEndpoint(options).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("nonsense0"));
}

TEST(UcxEndpointTest, APeerWithoutAddressIsNamed) {
  const absl::Status status =
      ConnectAlone({{"one host", {{"tcp", "x"}}}}, ChannelId(0));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("rank 1 has given no address for shm"));
}

TEST(UcxEndpointTest, AChannelNumberThatDoesNotFitTheTagIsRefused) {
  EXPECT_EQ(ConnectAlone({{"one host", {}}}, ChannelId(1 << 28)).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(UcxEndpointTest, UcxTakesNoSignalFromTheProcess) {
  MakeOrDie(UcxOptions());
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    struct sigaction action;
    ASSERT_EQ(sigaction(signal, nullptr, &action), 0);
    Dl_info owner = {};
    dladdr(reinterpret_cast<void*>(action.sa_handler), &owner);
    EXPECT_THAT(std::string(owner.dli_fname == nullptr ? "" : owner.dli_fname),
                Not(HasSubstr("libucs")))
        << signal;
  }
}

TEST_P(TransportConformanceTest, MoreDimensionsThanTheWireHasAreRefused) {
  RunPair([](std::unique_ptr<Transport>) {},
          [](std::unique_ptr<Transport> transport) {
            MessageHeader header = HeaderOf(1, 0, 4);
            header.shape.assign(17, 1);
            const std::vector<std::byte> bytes(4);
            const absl::Status status =
                transport->PostSend(kBackward, header, bytes).status();
            EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
            EXPECT_THAT(std::string(status.message()),
                        HasSubstr("17 dimensions"));
          });
}

// Shared memory tells nothing of a lost peer; a deadline and the destructor
// must do, with transfers on their way in both directions.
TEST_P(TransportConformanceTest, APeerLostInMidTransferFreesEverything) {
  // More than can be under way, so that it has not arrived in full.
  constexpr size_t kSize = 32 << 20;
  std::latch posted(2), lost(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> out(kSize), in(kSize);
        ASSERT_TRUE(
            transport->PostSend(kForward, HeaderOf(1, 0, kSize), out).ok());
        ASSERT_TRUE(transport
                        ->PostReceive(kBackward, HeaderOf(1, 0, kSize),
                                      absl::MakeSpan(in))
                        .ok());
        posted.arrive_and_wait();
        transport->Cancel(absl::AbortedError("dies"));
        transport.reset();
        lost.count_down();
      },
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> out(kSize), in(kSize);
        const auto send =
            transport->PostSend(kBackward, HeaderOf(1, 0, kSize), out);
        ASSERT_TRUE(send.ok());
        const auto receive = transport->PostReceive(
            kForward, HeaderOf(1, 0, kSize), absl::MakeSpan(in));
        ASSERT_TRUE(receive.ok());
        (void)transport->Test(*receive);
        posted.arrive_and_wait();
        lost.wait();
        const absl::Status status =
            transport->Wait(*receive, absl::Now() + absl::Milliseconds(50));
        EXPECT_THAT(status.code(), AnyOf(absl::StatusCode::kDeadlineExceeded,
                                         absl::StatusCode::kUnavailable))
            << status;
        transport.reset();
      });
}

}  // namespace
}  // namespace penstock
