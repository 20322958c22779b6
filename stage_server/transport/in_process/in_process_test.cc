#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/transport/conformance.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

INSTANTIATE_TEST_SUITE_P(Transports, TransportConformanceTest,
                         ::testing::Values(ConformanceSubject{
                             "in_process",
                             [] {
                               std::shared_ptr<InProcessFabric> fabric =
                                   InProcessFabric::Make();
                               return
                                   [fabric] { return fabric->MakeEndpoint(); };
                             },
                             /*notices_lost_thread=*/true}),
                         ConformanceName);

TEST(ConnectInProcessTest, OneThreadCanDriveAllRanks) {
  auto transports = ConnectInProcess(2, PairChannels());
  ASSERT_TRUE(transports.ok()) << transports.status();
  EXPECT_EQ(SendPayload(*(*transports)[0], kForward, 1, 64), absl::OkStatus());
  EXPECT_EQ(ReceivePayload(*(*transports)[1], kForward, 1, 64),
            absl::OkStatus());
}

TEST(ConnectInProcessTest, RefusesAChannelToNowhere) {
  EXPECT_EQ(ConnectInProcess(1, PairChannels()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock
