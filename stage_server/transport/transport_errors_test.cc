#include "stage_server/transport/transport_errors.h"

#include "absl/status/status.h"
#include "base/status_context.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(GoneRankTest, FindsThePeerThroughContext) {
  const absl::Status gone = WithContext(
      WithContext(PeerGone(RankId(12), "it has ended"), "1RF0"), "step 3");
  EXPECT_EQ(gone.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(gone.message(), "step 3: 1RF0: rank 12 is gone: it has ended");
  EXPECT_EQ(GoneRank(gone), RankId(12));
}

TEST(GoneRankTest, OtherErrorsBlameNobody) {
  EXPECT_EQ(GoneRank(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(GoneRank(absl::UnavailableError("rank 1 is gone")), std::nullopt);
}

}  // namespace
}  // namespace penstock
