#include "checkpoint/transfer/grpc_log.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpc/support/log.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

constexpr char kRefused[] =
    "Handshake failed with fatal error SSL_ERROR_SSL: error:0A000086:SSL "
    "routines::certificate verify failed.";

TEST(GrpcLogTest, ReasonOfAHandshakeIsTheLastPart) {
  EXPECT_EQ(HandshakeFailure(kRefused), "certificate verify failed");
  EXPECT_EQ(HandshakeFailure("No address added out of total 1"), "");
  EXPECT_EQ(HandshakeFailure(""), "");
}

TEST(GrpcLogTest, EachKindOfRefusalIsToldOnce) {
  std::vector<std::string> refused;
  std::vector<std::string> rest;
  TakeGrpcLog([&](const std::string& line) { refused.push_back(line); },
              [&](const std::string& line) { rest.push_back(line); });
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  for (int i = 0; i < 3; ++i) {
    gpr_log(GPR_ERROR, "%s", kRefused);
    gpr_log(GPR_ERROR, "something else");
  }
  gpr_log(GPR_ERROR, "Handshake failed with fatal error x: y::http request.");
  TakeGrpcLog(nullptr, nullptr);
  gpr_log(GPR_ERROR, "%s", kRefused);
  EXPECT_THAT(refused,
              ElementsAre("a TLS connection failed: certificate verify failed",
                          "a TLS connection failed: http request"));
  EXPECT_EQ(rest.size(), 3);
}

}  // namespace
}  // namespace penstock
