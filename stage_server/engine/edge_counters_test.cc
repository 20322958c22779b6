#include "stage_server/engine/edge_counters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EdgeCountersTest, NothingSentHasNoRows) {
  EXPECT_THAT(EdgeCounters(3).Totals(), IsEmpty());
}

TEST(EdgeCountersTest, EachDirectionOfAnEdgeHasItsRow) {
  EdgeCounters counters(3);
  counters.Add(EdgeId(2), Direction::kBackward, 10, 20);
  counters.Add(EdgeId(0), Direction::kForward, 5, 5);
  counters.Add(EdgeId(2), Direction::kBackward, 10, 20);
  counters.Add(EdgeId(2), Direction::kForward, 7, 8);
  EXPECT_THAT(
      counters.Totals(),
      ElementsAre(EdgeTraffic{EdgeId(0), Direction::kForward, 1, 5, 5},
                  EdgeTraffic{EdgeId(2), Direction::kForward, 1, 7, 8},
                  EdgeTraffic{EdgeId(2), Direction::kBackward, 2, 20, 40}));
}

TEST(EdgeCountersTest, AnEmptyMessageIsAMessage) {
  EdgeCounters counters(1);
  counters.Add(EdgeId(0), Direction::kForward, 0, 0);
  EXPECT_THAT(counters.Totals(), ElementsAre(EdgeTraffic{
                                     EdgeId(0), Direction::kForward, 1, 0, 0}));
}

}  // namespace
}  // namespace penstock
