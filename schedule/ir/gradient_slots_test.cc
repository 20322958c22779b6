#include "schedule/ir/gradient_slots.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

Schedule Replicated(const std::string& prologue, const std::string& period,
                    const std::string& epilogue) {
  return *ParseSchedule(
      absl::StrCat("penstock-schedule 1\nname s\nmicrobatches 2\npolicy stash\n"
                   "placement r0+r1\nversions 2/1\nprologue\nr0: ",
                   prologue, "\nr1:\nperiod\nr0: ", period,
                   "\nr1:\nepilogue\nr0: ", epilogue, "\nr1:\n"));
}

TEST(GradientSlotsTest, AreOneWhereAnUpdateComesBeforeTheNextBackward) {
  const Schedule schedule =
      Replicated("0F0@0 0F2@0 0B0@0 0G@1", "0U@1 0F4@1 0B2@0 0G@2",
                 "0U@1 0B2@0 0G@2 0U@2");
  EXPECT_EQ(GradientSlots(schedule, RankId(0), StageId(0)), 1);
}

TEST(GradientSlotsTest, AreMoreWhereBackwardsRunWhileItIsSummed) {
  EXPECT_EQ(
      GradientSlots(Replicated("0F0@0 0F2@0 0B0@0 0G@1",
                               "0F4@1 0B2@0 0G@2 0U@1", "0U@1 0B2@0 0G@2 0U@2"),
                    RankId(0), StageId(0)),
      2);
  // Only at the end.
  EXPECT_EQ(
      GradientSlots(Replicated("0F0@0 0F2@0 0B0@0 0G@1",
                               "0U@1 0F4@1 0B2@0 0G@2", "0B2@0 0G@2 0U@1 0U@2"),
                    RankId(0), StageId(0)),
      2);
}

TEST(GradientSlotsTest, OfAFlushAreOne) {
  const Schedule flush = *ParseSchedule(
      "penstock-schedule 1\nname f\nmicrobatches 1\nplacement r0\n"
      "r0: 0F0 0B0 N 0U\n");
  EXPECT_EQ(GradientSlots(flush, RankId(0), StageId(0)), 1);
}

}  // namespace
}  // namespace penstock
