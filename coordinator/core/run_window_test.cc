#include "coordinator/core/run_window.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/run_length.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"
#include "schedule/lowering/lower.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr int kSteps = 100;

Schedule TwoBufferedRanks() {
  ScheduleRequest request;
  request.generator = "pipedream_2bw";
  request.num_ranks = 2;
  request.num_stages = 2;
  request.num_microbatches = 2;
  request.edges = {{EdgeKind::kActivation, "x", StageId(0), StageId(1)}};
  const absl::StatusOr<Schedule> schedule = MakeSchedule(request);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

Schedule WholeRun() {
  const Schedule schedule = TwoBufferedRanks();
  return *Unroll(schedule, *PeriodsOfRun(schedule, kSteps));
}

// A rank that waits there, and has traced the two actions before.
RankEvidence WaitsAt(int64_t position) {
  RankEvidence evidence;
  evidence.at.emplace().set_step(50);
  evidence.at->set_position(static_cast<int32_t>(position));
  StepTrace* trace = evidence.at->mutable_trace();
  for (int i = 0; i < std::min<int64_t>(2, position); ++i) {
    trace->add_issued(i * 1'000'000'000L);
    trace->add_started(i * 1'000'000'000L);
    trace->add_ended((i + 1) * 1'000'000'000L);
  }
  trace->add_issued(2'000'000'000L);
  return evidence;
}

int64_t PlaceOf(const std::string& action, int rank) {
  const Schedule run = WholeRun();
  for (size_t i = 0; i < run.ranks[rank].size(); ++i) {
    if (ToString(run.ranks[rank][i], run.edges) == action) return i;
  }
  ADD_FAILURE() << "no " << action << " on rank " << rank;
  return 0;
}

RunWindow Window(const std::vector<RankEvidence>& ranks) {
  absl::StatusOr<RunWindow> window =
      WindowOfRun(TwoBufferedRanks(), kSteps, ranks);
  EXPECT_TRUE(window.ok()) << window.status();
  return *std::move(window);
}

TEST(RunWindowTest, HoldsTheRunsActionsAroundEachPlace) {
  const Schedule run = WholeRun();
  const auto size = static_cast<int64_t>(run.ranks[0].size());
  for (const int64_t position : {int64_t{0}, int64_t{7}, size / 2, size - 1}) {
    const RunWindow window = Window({WaitsAt(position), RankEvidence()});
    const int place = window.ranks[0].at->position();
    EXPECT_EQ(window.begin[0] + place, position);
    ASSERT_LT(place, static_cast<int>(window.schedule.ranks[0].size()));
    EXPECT_EQ(window.schedule.ranks[0][place], run.ranks[0][position]);
    EXPECT_LT(window.schedule.ranks[0].size(), 100u);
    for (size_t i = 0; i < window.schedule.ranks[1].size(); ++i) {
      EXPECT_EQ(window.schedule.ranks[1][i], run.ranks[1][window.begin[1] + i]);
    }
  }
}

TEST(RunWindowTest, PlacesCountFromTheLatestDrain) {
  const Schedule schedule = TwoBufferedRanks();
  const int64_t drain_every = 10;
  const Schedule stretch = *Unroll(schedule, *PeriodsOfRun(schedule, 10));
  for (const int64_t position : {0, 30}) {
    RankEvidence waits = WaitsAt(position);
    // The fifth stretch.
    waits.at->set_step(43);
    const auto window =
        WindowOfRun(schedule, kSteps, {waits, RankEvidence()}, drain_every);
    ASSERT_TRUE(window.ok()) << window.status();
    const int place = window->ranks[0].at->position();
    EXPECT_EQ(window->begin[0] + place, position);
    EXPECT_EQ(window->schedule.ranks[0][place],
              Shift(stretch.ranks[0][position], schedule, 40));
  }
}

TEST(RunWindowTest, ARankBeyondADrainHasDoneWhatIsBeforeIt) {
  RankEvidence waits = WaitsAt(30);
  waits.at->set_step(20);
  RankEvidence beyond = WaitsAt(5);
  beyond.at->set_step(21);
  const auto window =
      WindowOfRun(TwoBufferedRanks(), kSteps, {waits, beyond}, 10);
  ASSERT_TRUE(window.ok()) << window.status();
  EXPECT_FALSE(window->ranks[1].at.has_value());
  EXPECT_EQ(window->ranks[1].finished_step, 1);
  EXPECT_TRUE(window->ranks[0].at.has_value());
}

TEST(RunWindowTest, ARankThatIsNotHeardIsFollowedInTheMiddleOfARun) {
  const int64_t waits = PlaceOf("0RB80[x<r1]", 0);
  const int64_t sends = PlaceOf("1SB80[x>r0]", 1);
  RankEvidence silent;
  silent.silence = "has not been heard for 3s";
  silent.finished_step = 39;
  const RunWindow window = Window({WaitsAt(waits), silent});
  const HangReport report =
      ExplainHang(window.schedule, window.ranks, 0, window.begin);
  EXPECT_EQ(report.cause, HangCause::kSilentRank);
  EXPECT_EQ(report.text,
            absl::StrCat("rank 0 waits at action ", waits,
                         " of the run, 0RB80[x<r1], for action ", sends,
                         " of rank 1, 1SB80[x>r0]; rank 1 has not been heard "
                         "for 3s"));
}

TEST(RunWindowTest, AMessageThatWasSentIsOnItsWay) {
  const RunWindow window = Window(
      {WaitsAt(PlaceOf("0RB80[x<r1]", 0)), WaitsAt(PlaceOf("1RF83[x<r0]", 1))});
  EXPECT_EQ(ExplainHang(window.schedule, window.ranks, 0, window.begin).cause,
            HangCause::kLostMessage);
}

TEST(RunWindowTest, ARankAtWorkIsNamedWithItsNewestAction) {
  RankEvidence works = WaitsAt(PlaceOf("1SB80[x>r0]", 1));
  works.at->mutable_trace()->mutable_issued()->RemoveLast();
  const RunWindow window = Window({WaitsAt(PlaceOf("0RB80[x<r1]", 0)), works});
  const HangReport report =
      ExplainHang(window.schedule, window.ranks, 0, window.begin);
  EXPECT_EQ(report.cause, HangCause::kSlowAction);
  EXPECT_THAT(report.text, HasSubstr("1B80@39, took 1 s"));
}

TEST(RunWindowTest, StepsThatAreNoRunAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      WindowOfRun(TwoBufferedRanks(), 1, {RankEvidence(), RankEvidence()})
          .status()));
}

}  // namespace
}  // namespace penstock
