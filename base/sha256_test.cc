#include "base/sha256.h"

#include "gtest/gtest.h"

namespace penstock {
namespace {

// FIPS 180-2, appendix B.1.
constexpr char kAbc[] =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256Test, MatchesThePublishedVector) {
  EXPECT_EQ(Sha256HexOf("abc"), kAbc);
}

TEST(Sha256Test, PiecesGiveTheSameAsTheWhole) {
  Sha256 sha;
  sha.Update("a", 1);
  sha.Update("bc", 2);
  EXPECT_EQ(sha.Finish(), Sha256Of("abc"));
}

}  // namespace
}  // namespace penstock
