// A wrong schedule that no check has seen ends in an error or in the right
// numbers, never in wrong ones.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/random.h"
#include "coordinator/core/hang_report.h"
#include "coordinator/core/plan_builder.h"
#include "schedule/ir/schedule.h"
#include "schedule/ir/schedule_proto.h"
#include "stage_server/engine/channels.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/engine/model_backend.h"
#include "stage_server/engine/rank_plan.h"
#include "stage_server/transport/in_process/in_process_transport.h"
#include "tests/parity/parity_fixture.h"

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

// What a run of lists that were not checked gave.
struct Outcome {
  absl::Status status;
  // Of the weights, by layer.
  std::map<std::string, std::string> digests;
  // Index is the rank: what it was at when the run failed.
  std::vector<RankEvidence> evidence;
};

class UncheckedRun {
 public:
  // `plan` is sound; its ranks run `lists` instead of its own.
  UncheckedRun(const Plan& plan, const RankLists& lists)
      : plan_(plan), lists_(lists) {}

  Outcome Train() {
    const int num_ranks = static_cast<int>(lists_.size());
    auto transports = *ConnectInProcess(num_ranks, ChannelsOf(plan_));
    std::vector<std::unique_ptr<Device>> devices(num_ranks);
    backends_.resize(num_ranks);
    interpreters_.resize(num_ranks);
    for (int rank = 0; rank < num_ranks; ++rank) {
      devices[rank] = *MakeDevice("cpu");
      Fail(Make(rank, *devices[rank], std::move(transports[rank])));
    }
    {
      MutexLock lock(&mutex_);
      if (!outcome_.status.ok()) return outcome_;
    }
    std::vector<std::thread> threads;
    for (int rank = 0; rank < num_ranks; ++rank) {
      threads.emplace_back([this, rank] { Fail(RunRank(rank)); });
    }
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(&mutex_);
    for (const auto& interpreter : interpreters_) {
      outcome_.evidence.emplace_back().at = interpreter->Missing();
    }
    return outcome_;
  }

 private:
  absl::Status Make(int rank, Device& device,
                    std::unique_ptr<Transport> transport) {
    absl::StatusOr<RankPlan> resolved = ResolveRank(plan_, RankId(rank));
    if (!resolved.ok()) return resolved.status();
    resolved->schedule.ranks = lists_;
    const RankProgram program = {RankId(rank),
                                 resolved->schedule,
                                 resolved->owned_layers,
                                 resolved->loss_places,
                                 /*receive_lookahead=*/2,
                                 absl::Seconds(kTimeoutSeconds)};
    auto backend = ModelBackend::Make(*std::move(resolved), device);
    if (!backend.ok()) return backend.status();
    backends_[rank] = *std::move(backend);
    auto interpreter = Interpreter::Make(program, backends_[rank].get());
    if (!interpreter.ok()) return interpreter.status();
    interpreters_[rank] = *std::move(interpreter);
    interpreters_[rank]->Attach(std::move(transport));
    return absl::OkStatus();
  }

  absl::Status RunRank(int rank) {
    // Each thread has its own number.
    const auto device = MakeDevice("cpu");
    const absl::Status ready = (*device)->PrepareThread(1);
    if (!ready.ok()) return ready;
    for (int step = 1; step <= kSteps; ++step) {
      const auto timing = interpreters_[rank]->RunStep(step);
      if (!timing.ok()) return timing.status();
    }
    MutexLock lock(&mutex_);
    for (const LayerDigestResult& digest : backends_[rank]->Digests()) {
      outcome_.digests[digest.name] = digest.sha256;
    }
    return absl::OkStatus();
  }

  // The first failure ends all ranks.
  void Fail(const absl::Status& status) {
    if (status.ok()) return;
    {
      MutexLock lock(&mutex_);
      if (!outcome_.status.ok()) return;
      outcome_.status = status;
    }
    for (const auto& interpreter : interpreters_) {
      if (interpreter != nullptr) interpreter->Cancel(status);
    }
  }

  const Plan& plan_;
  const RankLists& lists_;
  std::vector<std::unique_ptr<ModelBackend>> backends_;
  std::vector<std::unique_ptr<Interpreter>> interpreters_;
  Mutex mutex_;
  Outcome outcome_ ABSL_GUARDED_BY(mutex_);
};

RankLists ListsOf(const Plan& plan) {
  return FromProto(plan.schedule())->ranks;
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
  const Outcome right = UncheckedRun(plan, lists).Train();
  ASSERT_TRUE(right.status.ok()) << right.status;
  int errors = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Outcome got = UncheckedRun(plan, Mutated(lists, seed)).Train();
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
  return UncheckedRun(plan, lists).Train().status;
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
  const Outcome outcome = UncheckedRun(plan, lists).Train();
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
