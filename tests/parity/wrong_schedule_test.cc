// A wrong schedule that no check has seen ends in an error or in the right
// numbers, never in wrong ones.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "coordinator/core/hang_report.h"
#include "coordinator/core/plan_builder.h"
#include "schedule/ir/schedule.h"
#include "schedule/ir/schedule_proto.h"
#include "tests/parity/parity_fixture.h"
#include "tests/parity/unchecked_run.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr int kSteps = 2;
// Of a wait that will never end.
constexpr double kTimeoutSeconds = 0.5;

Plan PlanOf(const std::string& schedule, int stages) {
  Job job = TinyGpt("adamw");
  (*job.mutable_model()->mutable_overrides())["layers"] = "2";
  job.mutable_schedule()->set_name(schedule);
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_schedule()->set_recompute("0");
  job.mutable_partition()->set_stages(stages);
  job.set_step_timeout_seconds(kTimeoutSeconds);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  EXPECT_TRUE(built.ok()) << built.status();
  return built->plan;
}

RankLists ListsOf(const Plan& plan) {
  return FromProto(plan.schedule())->ranks;
}

// `plan` is sound; its ranks run `lists` instead of its own.
UncheckedOutcome Train(const Plan& plan, const RankLists& lists) {
  Schedule schedule = *FromProto(plan.schedule());
  schedule.ranks = lists;
  return TrainUnchecked(plan, schedule, kSteps, absl::Seconds(kTimeoutSeconds));
}

// One change of one rank's list that depends on `seed`.
RankLists Mutated(RankLists lists, uint64_t seed) {
  uint64_t draws = 0;
  const auto below = [&](size_t size) {
    return static_cast<size_t>(RandomKey(seed, {draws++}) % size);
  };
  std::vector<Action>& list = lists[below(lists.size())];
  const size_t from = below(list.size());
  const Action action = list[from];
  const auto at = [&](size_t position) {
    return list.begin() + static_cast<std::ptrdiff_t>(position);
  };
  const size_t kind = below(4);
  if (kind == 0) {
    std::swap(list[from], list[(from + 1) % list.size()]);
  } else if (kind == 1) {
    list.insert(at(below(list.size())), action);
  } else {
    list.erase(at(from));
    if (kind == 2) list.insert(at(below(list.size())), action);
  }
  return lists;
}

class MutatedScheduleTest
    : public ::testing::TestWithParam<std::pair<const char*, int>> {};

TEST_P(MutatedScheduleTest, EndsInAnErrorOrInTheRightNumbers) {
  const Plan plan = PlanOf(GetParam().first, GetParam().second);
  const RankLists lists = ListsOf(plan);
  const UncheckedOutcome right = Train(plan, lists);
  ASSERT_TRUE(right.status.ok()) << right.status;
  int errors = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const UncheckedOutcome got = Train(plan, Mutated(lists, seed));
    if (!got.status.ok()) {
      ++errors;
      continue;
    }
    EXPECT_TRUE(got.digests == right.digests) << "seed " << seed;
  }
  EXPECT_GT(errors, 20);
}

INSTANTIATE_TEST_SUITE_P(
    Schedules, MutatedScheduleTest,
    ::testing::Values(std::pair("one_f_one_b", 2), std::pair("zbv", 4),
                      std::pair("interleaved", 4), std::pair("zb_h1", 2)),
    [](const auto& info) { return std::string(info.param.first); });

// All actions for which `is_gone` is true are left out, on every rank, so that
// nothing that is left misses its other end.
template <typename Predicate>
absl::Status WithoutAll(const Plan& plan, Predicate is_gone) {
  RankLists lists = ListsOf(plan);
  for (std::vector<Action>& list : lists) {
    list.erase(std::remove_if(list.begin(), list.end(), is_gone), list.end());
  }
  return Train(plan, lists).status;
}

// `moved` to right behind `before`, both of microbatches of the rank's list.
void MoveBehind(Op moved, int microbatch, Op before, int other_microbatch,
                std::vector<Action>* list) {
  const auto find = [list](Op op, int b) {
    return std::find_if(list->begin(), list->end(), [&](const Action& action) {
      return action.op == op && action.microbatch == MicrobatchId(b);
    });
  };
  const auto from = find(moved, microbatch);
  ASSERT_NE(from, list->end());
  const Action action = *from;
  list->erase(from);
  const auto to = find(before, other_microbatch);
  ASSERT_NE(to, list->end());
  list->insert(to + 1, action);
}

// Rank 0 sends its second activation only after the first gradient has come,
// rank 1 the first gradient only after the second activation.
TEST(WrongScheduleTest, RanksThatWaitForEachOtherAreToldAsACycle) {
  const Plan plan = PlanOf("one_f_one_b", 2);
  RankLists lists = ListsOf(plan);
  MoveBehind(Op::kSendForward, 1, Op::kReceiveBackward, 0, &lists[0]);
  MoveBehind(Op::kSendBackward, 0, Op::kReceiveForward, 1, &lists[1]);
  const UncheckedOutcome outcome = Train(plan, lists);
  EXPECT_TRUE(absl::IsDeadlineExceeded(outcome.status)) << outcome.status;
  Schedule schedule = *FromProto(plan.schedule());
  schedule.ranks = lists;
  const HangReport report = ExplainHang(schedule, outcome.evidence, 0);
  EXPECT_EQ(report.cause, HangCause::kWaitCycle) << report.text;
  EXPECT_EQ(report.chain, (std::vector<int>{0, 1, 0}));
  EXPECT_THAT(report.text, HasSubstr("each waits for the next: rank 0 > rank "
                                     "1 > rank 0"));
}

TEST(WrongScheduleTest, AMicrobatchThatAllLeaveOutIsMissed) {
  const absl::Status status =
      WithoutAll(PlanOf("zb_h1", 2), [](const Action& action) {
        return action.microbatch == MicrobatchId(2);
      });
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("has not yet the gradient of all its microbatches"));
}

TEST(WrongScheduleTest, ATiedWeightThatAllLeaveOutIsMissed) {
  const Plan plan = PlanOf("one_f_one_b", 2);
  const auto is_tied = [](const Action& action) {
    return (IsSend(action.op) || IsReceive(action.op)) &&
           action.microbatch == kWholeStep;
  };
  EXPECT_THAT(std::string(WithoutAll(plan, is_tied).message()),
              HasSubstr("the gradient of \"head.weight\" has not come"));
  const auto is_weight = [&](const Action& action) {
    return is_tied(action) &&
           (action.op == Op::kSendForward || action.op == Op::kReceiveForward);
  };
  EXPECT_THAT(std::string(WithoutAll(plan, is_weight).message()),
              HasSubstr("\"head.weight\" did not get its owner's new value"));
}

TEST(WrongScheduleTest, NormAndUpdateThatAllLeaveOutAreMissed) {
  const Plan plan = PlanOf("zbv", 4);
  EXPECT_THAT(std::string(WithoutAll(plan,
                                     [](const Action& action) {
                                       return action.op == Op::kAgreeNorm;
                                     })
                              .message()),
              HasSubstr("N has not run in this step"));
  EXPECT_THAT(std::string(WithoutAll(plan,
                                     [](const Action& action) {
                                       return action.op == Op::kUpdate;
                                     })
                              .message()),
              HasSubstr("was not updated"));
}

}  // namespace
}  // namespace penstock
