#include "schedule/ir/run_length.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// Two ranks, two microbatches a period; prologue and drain are one period.
constexpr char kText[] = R"(penstock-schedule 1
name toy
microbatches 2
policy double_buffer
placement r0 r1
versions 2/1 2/1
prologue
r0: 0F0@0
r1:
period
r0: 0F1@0 0B0@0 0F2@0 0B1@0
r1: 1F0@0 1B0@0 1F1@0 1B1@0
epilogue
r0: 0F1@0 0B0@0 0B1@0
r1: 1F0@0 1B0@0 1F1@0 1B1@0
)";

Schedule Toy() { return *ParseSchedule(kText); }

std::string ErrorOf(const Schedule& schedule, int64_t steps) {
  const absl::StatusOr<int> periods = PeriodsOfRun(schedule, steps);
  EXPECT_EQ(periods.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(periods.status().message());
}

TEST(RunLengthTest, APrologueAndADrainOfOnePeriodAreOneStep) {
  EXPECT_EQ(LeastStepsOfRun(Toy()).value_or(-1), 1);
  EXPECT_EQ(PeriodsOfRun(Toy(), 1).value_or(-1), 0);
  EXPECT_EQ(PeriodsOfRun(Toy(), 30).value_or(-1), 29);
}

TEST(RunLengthTest, TheRunHasTheMicrobatchesOfItsSteps) {
  for (const int steps : {1, 2, 7}) {
    const absl::StatusOr<int> periods = PeriodsOfRun(Toy(), steps);
    ASSERT_TRUE(periods.ok()) << periods.status();
    EXPECT_EQ(Unroll(Toy(), *periods)->num_microbatches, 2 * steps);
  }
}

TEST(RunLengthTest, OneRanksListsAreEnough) {
  for (const int rank : {0, 1}) {
    Schedule alone = Toy();
    alone.ranks[1 - rank].clear();
    alone.period[1 - rank].clear();
    alone.epilogue[1 - rank].clear();
    EXPECT_EQ(PeriodsOfRun(alone, 5).value_or(-1), 4);
  }
}

TEST(RunLengthTest, AReplicaCountsItsShareOfThePeriod) {
  const Schedule replica = *ParseSchedule(R"(penstock-schedule 1
name toy
microbatches 4
policy stash
placement r0+r1
versions 2/0
prologue
r0: 0F0@0 0B0@0
r1:
period
r0: 0F2@1 0B2@1 0F4@2 0B4@2
r1:
epilogue
r0: 0F2@1 0B2@1 0F4@2 0B4@2 0F6@3 0B6@3
r1:
)");
  EXPECT_EQ(LeastStepsOfRun(replica).value_or(-1), 2);
}

TEST(RunLengthTest, TooFewStepsNamesTheLeast) {
  EXPECT_THAT(ErrorOf(Toy(), 0),
              HasSubstr("takes at least 1 steps to fill and to drain, got 0"));
}

TEST(RunLengthTest, TooManyStepsNamesTheMost) {
  const int64_t most = std::numeric_limits<int32_t>::max() / 2;
  EXPECT_EQ(PeriodsOfRun(Toy(), most).value_or(-1), most - 1);
  EXPECT_THAT(ErrorOf(Toy(), most + 1),
              HasSubstr("with 2 a step it takes at most 1073741823 steps, got "
                        "1073741824"));
}

TEST(RunLengthTest, AFlushHasNoRun) {
  Schedule flush = Toy();
  flush.policy = WeightPolicy::kFlush;
  EXPECT_THAT(ErrorOf(flush, 3), HasSubstr("schedule toy flushes"));
}

TEST(RunLengthTest, APeriodWithoutForwardsIsNone) {
  Schedule empty = Toy();
  empty.period[0].clear();
  empty.period[1].clear();
  EXPECT_THAT(ErrorOf(empty, 3), HasSubstr("no period with a forward"));
}

TEST(RunLengthTest, EndsThatAreNotWholePeriodsAreRefused) {
  Schedule uneven = Toy();
  uneven.epilogue[0].erase(uneven.epilogue[0].begin());
  EXPECT_THAT(ErrorOf(uneven, 3),
              HasSubstr("has 1 microbatches of stage 0 on rank 0 before and "
                        "after its periods of 2"));
  Schedule longer = Toy();
  longer.ranks[1] = longer.period[1];
  EXPECT_THAT(ErrorOf(longer, 3), HasSubstr("of stage 1 on rank 1"));
}

}  // namespace
}  // namespace penstock
