#include "base/suggest.h"

#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(DidYouMeanTest, NamesTheNearest) {
  EXPECT_EQ(DidYouMean("gpipee", {"naive", "gpipe"}),
            "; did you mean \"gpipe\"?");
}

TEST(DidYouMeanTest, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(DidYouMean("zebra", {"naive", "gpipe"}), "");
  EXPECT_EQ(DidYouMean("gpipe", {}), "");
}

}  // namespace
}  // namespace penstock
