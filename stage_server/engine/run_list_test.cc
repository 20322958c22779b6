#include "stage_server/engine/run_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// PipeDream-2BW on two ranks, cut where the updates are not at the ends.
constexpr char kContinuous[] = R"(penstock-schedule 1
name by_hand
microbatches 2
policy double_buffer
placement r0 r1
versions 2/1 2/1
edge activation h 0>1
prologue
r0: 0F0@0 0F1@0 0B0@0 0F2@0 0B1@0 0U@1 0F3@0 0B2@0
r1: 1F0@0 1B0@0 1F1@0 1B1@0 1U@1 1F2@0 1B2@0 1F3@0
period
r0: 0F4@1 0B3@0 0U@2 0F5@1 0B4@1
r1: 1B3@0 1U@2 1F4@1 1B4@1 1F5@1
epilogue
r0: 0B3@0 0U@2
r1: 1B3@0 1U@2
)";

Schedule Continuous() { return *ParseSchedule(kContinuous); }

TEST(RunListTest, OfAFlushIsItsStep) {
  const Schedule flush = *ParseSchedule(
      "penstock-schedule 1\nname f\nmicrobatches 2\nplacement r0\n"
      "r0: 0F0 0B0 0F1 0B1 N 0U\n");
  const absl::StatusOr<RunList> list =
      RunList::Make(flush, RankId(0), {.num_steps = 3});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_FALSE(list->runs_on());
  EXPECT_EQ(list->size(), 6);
  for (const int64_t step : {1, 2, 99}) EXPECT_EQ(list->EndOf(step), 6);
  EXPECT_EQ(ToString(list->ActionAt(3)), "0B1");
  EXPECT_EQ(list->StepOf(7, MicrobatchId(1)).step, 7);
  EXPECT_EQ(list->StepOf(7, MicrobatchId(1)).microbatch, 1);
  const auto traced = list->TracedBefore(7, 6);
  ASSERT_TRUE(traced.has_value());
  EXPECT_EQ(traced->step, 7);
  EXPECT_EQ(traced->end - traced->begin, 6);
}

TEST(RunListTest, OfARunThatNeverDrainsIsTheRunWrittenOut) {
  for (const int periods : {0, 1, 5}) {
    const Schedule run = *Unroll(Continuous(), periods);
    for (int rank = 0; rank < 2; ++rank) {
      const auto list =
          RunList::Make(Continuous(), RankId(rank), {.num_steps = periods + 2});
      ASSERT_TRUE(list.ok()) << list.status();
      const std::vector<Action>& wanted = run.ranks[rank];
      ASSERT_EQ(list->size(), static_cast<int64_t>(wanted.size()));
      for (size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_EQ(list->ActionAt(static_cast<int64_t>(i)), wanted[i]);
      }
    }
  }
}

TEST(RunListTest, AStepEndsWithItsUpdatesAndTheLastWithTheList) {
  const auto list = RunList::Make(Continuous(), RankId(0), {.num_steps = 5});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->steps_in_prologue(), 1);
  EXPECT_EQ(list->EndOf(1), 6);
  for (int64_t step = 2; step <= 4; ++step) {
    EXPECT_EQ(list->EndOf(step), 8 + (step - 2) * 5 + 3);
    const Action last = list->ActionAt(list->EndOf(step) - 1);
    EXPECT_EQ(last.op, Op::kUpdate);
    EXPECT_EQ(last.version, step);
  }
  EXPECT_EQ(list->EndOf(5), list->size());
}

TEST(RunListTest, AStepWithSeveralUpdatesOfAStageEndsWithTheLast) {
  const Schedule stash = *ParseSchedule(
      "penstock-schedule 1\nname s\nmicrobatches 2\npolicy stash\n"
      "placement r0\nversions 1/0\nprologue\nr0:\nperiod\n"
      "r0: 0F0@0 0B0@0 0U@1 0F1@1 0B1@1 0U@2\nepilogue\nr0:\n");
  const auto list = RunList::Make(stash, RankId(0), {.num_steps = 3});
  ASSERT_TRUE(list.ok()) << list.status();
  for (int64_t step = 1; step <= 3; ++step) {
    EXPECT_EQ(list->EndOf(step), 6 * step);
  }
}

TEST(RunListTest, MessagesNameStepAndMicrobatchWithinIt) {
  const auto list = RunList::Make(Continuous(), RankId(0), {.num_steps = 5});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->StepOf(2, MicrobatchId(5)).step, 3);
  EXPECT_EQ(list->StepOf(2, MicrobatchId(5)).microbatch, 1);
}

TEST(RunListTest, ATraceIsARepetitionThatHasEnded) {
  const auto list = RunList::Make(Continuous(), RankId(0), {.num_steps = 5});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->traced_size(), 5);
  EXPECT_FALSE(list->TracedBefore(1, 6).has_value());
  EXPECT_FALSE(list->TracedBefore(2, 8 + 4).has_value());
  const auto traced = list->TracedBefore(3, 8 + 5 + 3);
  ASSERT_TRUE(traced.has_value());
  EXPECT_EQ(traced->step, 2);
  EXPECT_EQ(traced->begin, 8);
  EXPECT_EQ(traced->end, 13);
  EXPECT_EQ(list->TracedBefore(5, list->size())->step, 4);
}

// By stage: the microbatches of the actions with the op, in their order.
std::map<int, std::vector<int>> MicrobatchesOf(const RunList& list, Op op) {
  std::map<int, std::vector<int>> microbatches;
  for (int64_t i = 0; i < list.size(); ++i) {
    const Action action = list.ActionAt(i);
    if (action.op != op) continue;
    microbatches[action.stage.value()].push_back(action.microbatch.value());
  }
  return microbatches;
}

TEST(RunListTest, ADrainLosesNoMicrobatchAndChangesNoVersion) {
  const Schedule schedule = Continuous();
  for (const int64_t steps : {6, 8}) {
    for (int rank = 0; rank < 2; ++rank) {
      const auto list = RunList::Make(schedule, RankId(rank),
                                      {.num_steps = steps, .drain_every = 3});
      ASSERT_TRUE(list.ok()) << list.status();
      std::vector<int> all(static_cast<size_t>(2 * steps));
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(MicrobatchesOf(*list, Op::kForward)[rank], all);
      EXPECT_EQ(MicrobatchesOf(*list, Op::kBackward)[rank], all);
      int updates = 0;
      for (int64_t i = 0; i < list->size(); ++i) {
        const Action action = list->ActionAt(i);
        const int version =
            action.op == Op::kUpdate
                ? ++updates
                : std::max(0, action.microbatch.value() / 2 - 1);
        EXPECT_EQ(action.version, version) << ToString(action);
      }
      EXPECT_EQ(updates, steps);
    }
  }
}

TEST(RunListTest, NothingIsInFlightWhereItIsDrained) {
  const auto list = RunList::Make(Continuous(), RankId(0),
                                  {.num_steps = 8, .drain_every = 3});
  ASSERT_TRUE(list.ok()) << list.status();
  for (const int64_t step : {1, 2, 4, 5, 7}) {
    EXPECT_FALSE(list->IsDrainedAfter(step)) << step;
  }
  // Prologue, a period, epilogue; then the same; then without a period.
  for (const auto& [step, end] :
       {std::pair(3, 15), std::pair(6, 30), std::pair(8, 40)}) {
    EXPECT_TRUE(list->IsDrainedAfter(step)) << step;
    EXPECT_EQ(list->EndOf(step), end);
    EXPECT_EQ(list->NextDrain(end - 1), end);
    EXPECT_LE(list->LatestDrain(end - 1), end - 10);
  }
  EXPECT_EQ(list->size(), 40);
  EXPECT_EQ(list->EndOf(4), 15 + 6);
  EXPECT_EQ(list->NextDrain(15), 30);
  EXPECT_EQ(list->LatestDrain(14), 0);
  EXPECT_EQ(list->LatestDrain(15), 15);
  EXPECT_EQ(list->TracedBefore(5, list->EndOf(6))->step, 5);
  EXPECT_FALSE(list->TracedBefore(8, 40).has_value());
}

TEST(RunListTest, RefusesAStretchThatIsTooShort) {
  EXPECT_THAT(
      std::string(RunList::Make(Continuous(), RankId(0),
                                {.num_steps = 7, .drain_every = 3})
                      .status()
                      .message()),
      HasSubstr("takes at least 2 steps to fill and to drain; drained after "
                "every 3 of 7 steps there are 1 between two drains"));
  EXPECT_FALSE(
      RunList::Make(Continuous(), RankId(0), {.num_steps = 7, .drain_every = 1})
          .ok());
}

TEST(RunListTest, RefusesARunThatIsTooShortOrTooLong) {
  EXPECT_THAT(
      std::string(RunList::Make(Continuous(), RankId(0), {.num_steps = 1})
                      .status()
                      .message()),
      HasSubstr("takes at least 2 steps to fill and to drain, got 1"));
  EXPECT_FALSE(
      RunList::Make(Continuous(), RankId(0), {.num_steps = int64_t{1} << 31})
          .ok());
}

TEST(RunListTest, RefusesAPeriodWithoutAStepsUpdates) {
  Schedule schedule = Continuous();
  std::erase_if(schedule.period[0],
                [](const Action& action) { return action.op == Op::kUpdate; });
  EXPECT_THAT(
      std::string(RunList::Make(schedule, RankId(0), {.num_steps = 5})
                      .status()
                      .message()),
      HasSubstr("the updates of 0 steps end in the period, want those of 1"));
}

// What follows a drain is the same list, whether the steps before it were run
// by it or by another.
TEST(RunListTest, MayBeginBehindStepsThatWereMadeBefore) {
  for (int rank = 0; rank < 2; ++rank) {
    const auto whole = RunList::Make(Continuous(), RankId(rank),
                                     {.num_steps = 8, .drain_every = 4});
    const auto later =
        RunList::Make(Continuous(), RankId(rank),
                      {.num_steps = 8, .drain_every = 4, .steps_before = 4});
    ASSERT_TRUE(whole.ok() && later.ok()) << whole.status() << later.status();
    const int64_t begin = whole->EndOf(4);
    ASSERT_EQ(later->size(), whole->size() - begin);
    for (int64_t i = 0; i < later->size(); ++i) {
      EXPECT_EQ(later->ActionAt(i), whole->ActionAt(begin + i));
    }
    for (int64_t step = 5; step <= 8; ++step) {
      EXPECT_EQ(later->EndOf(step), whole->EndOf(step) - begin);
    }
  }
}

TEST(RunListTest, ReadsTheNewestOrTheRuleWhereOnlyTheNewestIsThere) {
  const auto list =
      RunList::Make(Continuous(), RankId(0),
                    {.num_steps = 8, .steps_before = 3, .newest_only = true});
  ASSERT_TRUE(list.ok()) << list.status();
  int updates = 3;
  for (int64_t i = 0; i < list->size(); ++i) {
    const Action action = list->ActionAt(i);
    const int version = action.op == Op::kUpdate
                            ? ++updates
                            : std::max(3, action.microbatch.value() / 2 - 1);
    EXPECT_EQ(action.version, version) << ToString(action);
  }
  EXPECT_EQ(updates, 8);
}

TEST(RunListTest, ADrainTooNearBehindTheStepsBeforeIsLeftOut) {
  const auto list =
      RunList::Make(Continuous(), RankId(0),
                    {.num_steps = 9, .drain_every = 3, .steps_before = 2});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_FALSE(list->IsDrainedAfter(3));
  EXPECT_TRUE(list->IsDrainedAfter(6));
  EXPECT_TRUE(list->IsDrainedAfter(9));
  EXPECT_THAT(std::string(RunList::Make(Continuous(), RankId(0),
                                        {.num_steps = 9, .steps_before = 8})
                              .status()
                              .message()),
              HasSubstr("of 9 steps, of which 8 are made, there are 1"));
}

TEST(RunListTest, StopsWhereItHasNotBeenBegunToGoOn) {
  const auto whole = RunList::Make(Continuous(), RankId(0), {.num_steps = 100});
  ASSERT_TRUE(whole.ok()) << whole.status();
  // Within the first repetition of the period; then behind it.
  for (const auto& [position, earliest] :
       {std::pair(8 + 3, 3), std::pair(8 + 5, 3), std::pair(8 + 6, 4)}) {
    EXPECT_EQ(whole->EarliestStop(position), earliest);
    for (int64_t step = 2; step < 8; ++step) {
      RunList list = *whole;
      const absl::Status stopped = list.StopAfter(step, position);
      ASSERT_EQ(stopped.ok(), step >= earliest) << stopped;
      if (!stopped.ok()) continue;
      const auto wanted =
          RunList::Make(Continuous(), RankId(0), {.num_steps = step});
      EXPECT_EQ(list.size(), wanted->size());
      EXPECT_EQ(list.num_steps(), step);
      EXPECT_TRUE(list.IsDrainedAfter(step));
      for (int64_t i = 0; i < list.size(); ++i) {
        EXPECT_EQ(list.ActionAt(i), wanted->ActionAt(i));
      }
    }
  }
}

TEST(RunListTest, StopsWhereItIsDrainedAnyway) {
  auto list = RunList::Make(Continuous(), RankId(0),
                            {.num_steps = 12, .drain_every = 4});
  ASSERT_TRUE(list.ok()) << list.status();
  const int64_t drained = list->EndOf(4);
  EXPECT_EQ(list->EarliestStop(drained), 4);
  EXPECT_EQ(list->EarliestStop(drained + 1), 6);
  EXPECT_THAT(std::string(list->StopAfter(5, drained).message()),
              HasSubstr("it can after step 6"));
  EXPECT_TRUE(list->StopAfter(99, drained + 1).ok());
  EXPECT_EQ(list->num_steps(), 12);
  ASSERT_TRUE(list->StopAfter(8, drained + 1).ok());
  EXPECT_EQ(list->size(), 2 * drained);
  ASSERT_TRUE(list->StopAfter(4, drained).ok());
  EXPECT_EQ(list->size(), drained);
}

TEST(RunListTest, OfAFlushStopsAnywhere) {
  const Schedule flush = *ParseSchedule(
      "penstock-schedule 1\nname f\nmicrobatches 1\nplacement r0\n"
      "r0: 0F0 0B0 N 0U\n");
  auto list = RunList::Make(flush, RankId(0), {.num_steps = 9});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->EarliestStop(2), 0);
  ASSERT_TRUE(list->StopAfter(4, 2).ok());
  EXPECT_EQ(list->num_steps(), 4);
}

}  // namespace
}  // namespace penstock
