#include "schedule/ir/text_places.h"

#include <string>

#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

constexpr char kFlush[] =
    "penstock-schedule 1\n"
    "name r0:\n"
    "microbatches 1\n"
    "placement r0 r1\n"
    "\n"
    "# r0: a remark\n"
    "r0: 0F0&0B0  0F1& N\t 0U \r\n"
    "  r1: 1F0\n"
    "r2:";

TEST(TextPlacesTest, FindsEveryActionOfARank) {
  const TextPlaces places(kFlush);
  EXPECT_EQ(places.Of(RankId(0), 0), (TextPlace{7, 5}));
  EXPECT_EQ(places.Of(RankId(0), 1), (TextPlace{7, 9}));
  EXPECT_EQ(places.Of(RankId(0), 2), (TextPlace{7, 14}));
  EXPECT_EQ(places.Of(RankId(0), 3), (TextPlace{7, 19}));
  EXPECT_EQ(places.Of(RankId(0), 4), (TextPlace{7, 22}));
  EXPECT_EQ(places.Of(RankId(1), 0), (TextPlace{8, 7}));
}

TEST(TextPlacesTest, WhatIsNotThereIsPlacedAtTheBeginningOfItsLine) {
  const TextPlaces places(kFlush);
  EXPECT_EQ(places.Of(RankId(0), -1), (TextPlace{7, 1}));
  EXPECT_EQ(places.Of(RankId(1), -1), (TextPlace{8, 3}));
  EXPECT_EQ(places.Of(RankId(0), 5), (TextPlace{7, 1}));
  EXPECT_EQ(places.Of(RankId(2), 0), (TextPlace{9, 1}));
  EXPECT_EQ(places.Of(RankId(3), 0), (TextPlace{1, 1}));
  EXPECT_EQ(places.Of(RankId(-1), -1), (TextPlace{1, 1}));
  EXPECT_EQ(TextPlaces("").Of(RankId(0), 0), (TextPlace{1, 1}));
}

// The text at a place begins with the action that stands there, but for the
// numbers that the period shifts.
TEST(TextPlacesTest, ActionsOfARunAreFoundInTheirSection) {
  const std::string text =
      "penstock-schedule 1\nname x\nmicrobatches 1\npolicy stash\n"
      "placement r0 r1\nversions 1/0 1/0\nprologue\nr0: 0F0\nr1:\n"
      "period\nr0: 0F1 0B0 0U@1\nr1: 1F0&1B0\nepilogue\nr0: 0B0\nr1:\n";
  const Schedule run = *Unroll(*ParseSchedule(text), 2);
  const TextPlaces places(text);
  EXPECT_EQ(places.Of(RankId(0), 0, 2), (TextPlace{8, 5}));
  EXPECT_EQ(places.Of(RankId(0), 2, 2), (TextPlace{11, 9}));
  EXPECT_EQ(places.Of(RankId(0), 6, 2), (TextPlace{11, 13}));
  EXPECT_EQ(places.Of(RankId(0), 7, 2), (TextPlace{14, 5}));
  EXPECT_EQ(run.ranks[0].size(), 8u);
  EXPECT_EQ(places.Of(RankId(1), 3, 2), (TextPlace{12, 9}));
  EXPECT_EQ(places.Of(RankId(1), 4, 2), (TextPlace{9, 1}));
  EXPECT_EQ(places.Of(RankId(0), 1, 0), (TextPlace{14, 5}));
}

}  // namespace
}  // namespace penstock
