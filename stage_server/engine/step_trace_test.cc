#include "stage_server/engine/step_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> TracedSteps(int64_t begin, int64_t end, size_t actions) {
  std::vector<int64_t> steps;
  for (int64_t step = begin; step < end; ++step) {
    if (IsTracedStep(step, actions)) steps.push_back(step);
  }
  return steps;
}

TEST(StepTraceTest, EveryEarlyStepAndSixteenOfEachOctaveAreTraced) {
  EXPECT_FALSE(IsTracedStep(0, 10));
  EXPECT_EQ(TracedSteps(1, 32, 10).size(), 31u);
  for (int64_t octave = 16; octave <= 1 << 20; octave *= 2) {
    EXPECT_EQ(TracedSteps(octave, 2 * octave, 10).size(), 16u) << octave;
  }
}

TEST(StepTraceTest, LongListsAreTracedLessOften) {
  EXPECT_EQ(TracedSteps(64, 128, 2048).size(), 16u);
  EXPECT_EQ(TracedSteps(64, 128, 2049).size(), 8u);
  EXPECT_THAT(TracedSteps(1, 128, 1 << 17),
              ElementsAre(1, 2, 4, 8, 16, 32, 64));
  EXPECT_TRUE(TracedSteps(1, 128, (1 << 17) + 1).empty());
}

TEST(StepTraceTest, ALongerListsStepsAreAmongAShorterOnes) {
  for (int64_t step = 1; step < 5000; ++step) {
    for (const size_t actions : {100u, 3000u, 9000u, 40000u}) {
      if (!IsTracedStep(step, 4 * actions)) continue;
      EXPECT_TRUE(IsTracedStep(step, actions)) << step << " " << actions;
      EXPECT_TRUE(IsSampledStep(step)) << step;
    }
  }
}

TEST(StepTraceTest, TimesAreRelativeToTheStep) {
  const StepTrace trace =
      TraceOf(7, 1000, {{7, 0, 1010, 1020, 1030}, {7, 1, 1030, 1030, 1050}});
  EXPECT_EQ(trace.step(), 7);
  EXPECT_EQ(trace.start_nanos(), 1000);
  EXPECT_THAT(trace.issued(), ElementsAre(10, 30));
  EXPECT_THAT(trace.started(), ElementsAre(20, 30));
  EXPECT_THAT(trace.ended(), ElementsAre(30, 50));
}

}  // namespace
}  // namespace penstock
