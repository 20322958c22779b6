#include "stage_server/transport/ucx/ucx_transport.h"

#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/transport/conformance.h"
#include "stage_server/transport/ucx/host_identity.h"

namespace penstock {
namespace {

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

}  // namespace
}  // namespace penstock
