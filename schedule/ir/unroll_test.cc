#include "schedule/ir/unroll.h"

#include <functional>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// Two stages that update after every microbatch and after every second.
constexpr char kText[] = R"(penstock-schedule 1
name toy
microbatches 2
policy stash
placement r0 r1
versions 1/1 2/0
edge activation h 0>1
edge tied_weight wte 0>1
prologue
r0: 0F0@0 0F1@0
r1:
period
r0: 0F2@1 0B0@0 0U@1 0F3@2&0B1.0@0 0SF3[h>r1] 0RB*[wte<r1]
r1: 1F0+1@0 1B0@0 1U@1 N
epilogue
r0: 0B2@1 0B3@2
r1:
)";

Schedule Toy() { return *ParseSchedule(kText); }

TEST(UnrollTest, ShiftsMicrobatchesAndVersionsByTheStagesRule) {
  const absl::StatusOr<Schedule> run = Unroll(Toy(), 2);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(
      PrintSchedule(*run),
      R"(penstock-schedule 1
name toy
microbatches 6
policy stash
placement r0 r1
versions 1/1 2/0
edge activation h 0>1
edge tied_weight wte 0>1
r0: 0F0@0 0F1@0 0F2@1 0B0@0 0U@1 0F3@2&0B1.0@0 0SF3[h>r1] 0RB*[wte<r1] )"
      R"(0F4@3 0B2@2 0U@3 0F5@4&0B3.0@2 0SF5[h>r1] 0RB*[wte<r1] 0B6@5 0B7@6
r1: 1F0+1@0 1B0@0 1U@1 N 1F2+3@1 1B2@1 1U@2 N
)");
}

TEST(UnrollTest, NoPeriodAtAllIsPrologueAndEpilogue) {
  const absl::StatusOr<Schedule> run = Unroll(Toy(), 0);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->num_microbatches, 2);
  EXPECT_EQ(run->ranks[0].size(), 4u);
  EXPECT_TRUE(run->is_continuous());
}

TEST(UnrollTest, ScheduleWithoutAPeriodStaysAsItIs) {
  const Schedule flush = *ParseSchedule(
      "penstock-schedule 1\nname x\nmicrobatches 1\nplacement r0\n"
      "r0: 0F0 0B0\n");
  EXPECT_EQ(Unroll(flush, 7).value_or(Schedule()), flush);
  const Schedule run = *Unroll(Toy(), 3);
  EXPECT_EQ(Unroll(run, 7).value_or(Schedule()), run);
}

struct BadCase {
  std::function<void(Schedule&)> spoil;
  int periods;
  const char* message;
};

class BadScheduleTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadScheduleTest, IsRefusedWithTheReason) {
  Schedule schedule = Toy();
  GetParam().spoil(schedule);
  const absl::StatusOr<Schedule> run = Unroll(schedule, GetParam().periods);
  EXPECT_EQ(run.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(run.status().message()),
              HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Schedules, BadScheduleTest,
    ::testing::Values(
        BadCase{[](Schedule&) {}, -1, "-1 periods of 2 microbatches"},
        BadCase{[](Schedule& s) { s.num_microbatches = -2; }, 1,
                "want at least 0"},
        BadCase{[](Schedule& s) { s.period.pop_back(); }, 1,
                "the prologue has 2 ranks, the period 1 and the epilogue 2"},
        BadCase{[](Schedule& s) { s.versions.pop_back(); }, 1,
                "for 1 of 2 stages"},
        BadCase{[](Schedule& s) { s.versions[1].microbatches_per_update = 4; },
                1, "stage 1 updates after every 4 microbatches, which must"},
        BadCase{[](Schedule& s) { s.versions[0].microbatches_per_update = 0; },
                1, "stage 0 updates after every 0"},
        BadCase{[](Schedule&) {}, std::numeric_limits<int>::max() / 2 + 1,
                "beyond 2147483647; want fewer periods"},
        BadCase{[](Schedule& s) {
                  s.period = {{AgreeNorm(), AgreeNorm(), AgreeNorm()}, {}};
                  s.epilogue = {{}, {}};
                },
                1'000'000'000, "rank 0 would have 3000000002 actions"}));

TEST(UnrollTest, StagesThatDoNotExistKeepTheirVersions) {
  Schedule schedule = Toy();
  schedule.epilogue[1].push_back(
      {.op = Op::kUpdate, .stage = StageId(9), .version = 4});
  const absl::StatusOr<Schedule> run = Unroll(schedule, 5);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->ranks[1].back().version, 4);
}

}  // namespace
}  // namespace penstock
