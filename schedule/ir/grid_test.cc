#include "schedule/ir/grid.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kLowered[] = R"(penstock-schedule 1
name x
microbatches 2
placement r0 r1
edge activation h 0>1
r0: 0F0 0SF0[h>r1] 0F1 0SF1[h>r1] 0RB0[h<r1] 0B0 0RB1[h<r1] 0B1 N 0U
r1: 1RF0[h<r0] 1F0 1B0 1SB0[h>r0] 1RF1[h<r0] 1F1 1B1 1SB1[h>r0] N 1U
)";

TEST(PrintGridTest, ComputeActionsTakeOneStepEach) {
  EXPECT_EQ(PrintGrid(*ParseSchedule(kLowered)),
            "step  r0    r1\n"
            "   0  0F0   .\n"
            "   1  0F1   1F0\n"
            "   2  .     1B0\n"
            "   3  0B0   1F1\n"
            "   4  .     1B1\n"
            "   5  0B1   .\n");
}

TEST(PrintGridTest, WhatNeverRunsStandsBelow) {
  EXPECT_EQ(PrintGrid(*ParseSchedule("penstock-schedule 1\nname x\n"
                                     "microbatches 1\nplacement r0 r1\n"
                                     "edge activation h 0>1\n"
                                     "r0: 0F0\nr1: 1B0 1F1\n")),
            "step  r0    r1\n"
            "   0  0F0   1B0\n"
            "   -  .     1F1\n");
}

TEST(PrintGridTest, PairIsOneCell) {
  EXPECT_EQ(PrintGrid(*ParseSchedule(
                "penstock-schedule 1\nname x\nmicrobatches 2\n"
                "placement r0+r1 r1+r0\nedge activation h 0>1\n"
                "r0: 0F0+1 1B0.0&0F2 0B0.0\nr1: 1F0 1F1& 1F2&\n")),
            "step  r0         r1\n"
            "   0  0F0+1      .\n"
            "   1  1B0.0&0F2  1F0\n"
            "   2  0B0.0      1F1&1F2&\n");
}

TEST(PrintGridTest, ContinuousScheduleIsDrawnWithOnePeriod) {
  EXPECT_EQ(PrintGrid(*ParseSchedule(
                "penstock-schedule 1\nname x\nmicrobatches 1\npolicy stash\n"
                "placement r0 r1\nversions 1/1 1/0\nedge activation h 0>1\n"
                "prologue\nr0: 0F0@0\nr1:\n"
                "period\nr0: 0F1@0 0B0@0 0U@1\nr1: 1F0@0 1B0@0 1U@1\n"
                "epilogue\nr0: 0B0@0 0U@1\nr1: 1F0@0 1B0@0 1U@1\n")),
            "step  r0     r1\n"
            "   0  0F0@0  .\n"
            "   1  0F1@0  1F0@0\n"
            "   2  .      1B0@0\n"
            "   3  0B0@0  1F1@1\n"
            "   4  .      1B1@1\n"
            "   5  0B1@1  .\n");
}

TEST(PrintMarkedGridTest, ShowsEveryActionAndTheMark) {
  const std::string grid =
      PrintMarkedGrid(*ParseSchedule(kLowered), {RankId(1), 3});
  EXPECT_THAT(grid, HasSubstr(">1SB0[h>r0]<"));
  EXPECT_THAT(grid, HasSubstr("0RB0[h<r1]"));
}

TEST(PrintMarkedGridTest, LeavesOutWhatIsFarFromTheMark) {
  std::string text = "penstock-schedule 1\nname x\nmicrobatches 90\nplacement";
  std::string lists;
  for (int rank = 0; rank < 30; ++rank) {
    absl::StrAppend(&text, " r", rank);
    absl::StrAppend(&lists, "r", rank, ":");
    for (int b = 0; b < 90; ++b) absl::StrAppend(&lists, " ", rank, "F", b);
    lists += "\n";
  }
  const std::string grid = PrintMarkedGrid(
      *ParseSchedule(absl::StrCat(text, "\n", lists)), {RankId(20), 50});
  EXPECT_THAT(grid, HasSubstr(">20F50<"));
  EXPECT_THAT(grid, HasSubstr("24F60"));
  EXPECT_THAT(grid, Not(HasSubstr("20F39")));
  EXPECT_THAT(grid, Not(HasSubstr("25F50")));
}

TEST(PrintMarkedGridTest, MarkOutsideTheScheduleMarksNothing) {
  const Schedule schedule = *ParseSchedule(kLowered);
  EXPECT_THAT(PrintMarkedGrid(schedule, {RankId(9), 0}), Not(HasSubstr(">0")));
  EXPECT_THAT(PrintMarkedGrid(schedule, {RankId(0), 99}), HasSubstr("step"));
  EXPECT_EQ(PrintMarkedGrid(Schedule(), {RankId(0), 0}), "step\n");
}

}  // namespace
}  // namespace penstock
