#include "checkpoint/transfer/token.h"

#include <string>

#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr char kKey[] = "0123456789abcdef";

TEST(TransferTokenTest, SaysWhatItWasMadeFor) {
  const auto claim =
      ReadTransferToken(kKey, MakeTransferToken(kKey, {"job-1", 7}));
  ASSERT_TRUE(claim.ok()) << claim.status();
  EXPECT_EQ(claim->job_id, "job-1");
  EXPECT_EQ(claim->epoch, 7);
}

TEST(TransferTokenTest, AnotherKeysTokenIsRefused) {
  const std::string token = MakeTransferToken("another key, long", {"job", 7});
  EXPECT_TRUE(
      absl::IsPermissionDenied(ReadTransferToken(kKey, token).status()));
}

TEST(TransferTokenTest, NoChangedTokenIsTaken) {
  const std::string token = MakeTransferToken(kKey, {"job", 7});
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] ^= 1;
    EXPECT_TRUE(
        absl::IsPermissionDenied(ReadTransferToken(kKey, changed).status()))
        << changed;
    EXPECT_FALSE(ReadTransferToken(kKey, token.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(ReadTransferToken(kKey, "").ok());
  EXPECT_FALSE(ReadTransferToken(kKey, ":").ok());
  EXPECT_FALSE(ReadTransferToken(kKey, token + "0").ok());
}

}  // namespace
}  // namespace penstock
