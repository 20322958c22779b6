// Schedules that no generator of the registry makes as they are here: random
// ones, those of `auto`, halves of microbatches and forwards of two.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "schedule/generators/random_sound.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/planner/auto_schedule.h"
#include "schedule/simulator/cost_model.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

// Trains a GPT of ten layers through `schedule`, of compute actions.
void ExpectParity(const Schedule& schedule) {
  Job job = TinyGpt("adamw");
  (*job.mutable_model()->mutable_overrides())["layers"] = "3";
  job.set_steps(3);
  job.set_batch_size(4 * schedule.num_microbatches);
  job.mutable_schedule()->set_microbatches(schedule.num_microbatches);
  job.mutable_schedule()->set_text(PrintSchedule(schedule));
  job.mutable_partition()->set_stages(schedule.num_stages());
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  ExpectSameBits(TrainInThreads(built->plan, static_cast<int>(job.steps())),
                 ReferenceOf(built->plan));
}

TEST(GivenScheduleTest, FiftyRandomOnes) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    ExpectParity(RandomSound(seed, {.only_chains = true}));
  }
}

TEST(GivenScheduleTest, Auto) {
  for (const int ranks : {2, 4}) {
    SCOPED_TRACE(absl::StrCat(ranks, " ranks"));
    const absl::StatusOr<AutoChoice> choice = AutoSchedule(
        {.num_ranks = ranks,
         .num_microbatches = 8,
         .edges = ChainEdges,
         .costs = [](const Schedule& schedule) -> absl::StatusOr<CostModel> {
           CostModel costs = UniformCosts(schedule, {.hop = 0.1});
           // The engine runs stages on one rank each.
           for (const std::vector<RankId>& holders : schedule.placement) {
             if (holders.size() > 1) costs.action_overhead = 100;
           }
           return costs;
         }});
    ASSERT_TRUE(choice.ok()) << choice.status();
    ExpectParity(choice->schedule);
  }
}

Schedule Generated(const std::string& name, int ranks, int microbatches) {
  return *Generate(name,
                   {.num_ranks = ranks, .num_microbatches = microbatches});
}

// With every backward of these stages in two halves.
Schedule Halved(Schedule schedule, const std::vector<int>& stages) {
  for (std::vector<Action>& list : schedule.ranks) {
    std::vector<Action> halved;
    for (const Action& action : list) {
      halved.push_back(action);
      if (action.op == Op::kForward ||
          std::find(stages.begin(), stages.end(), action.stage.value()) ==
              stages.end()) {
        continue;
      }
      halved.back().half = Half::kFirst;
      halved.push_back(action);
      halved.back().half = Half::kSecond;
    }
    list = std::move(halved);
  }
  return schedule;
}

TEST(GivenScheduleTest, HalvesHaveTheBitsOfTwiceAsManyMicrobatches) {
  ExpectParity(Halved(Generated("one_f_one_b", 3, 4), {0, 1, 2}));
  ExpectParity(Halved(Generated("zb_h1", 2, 4), {0, 1}));
  ExpectParity(Halved(Generated("zbv", 2, 4), {0, 1, 2, 3}));
}

TEST(GivenScheduleTest, HalvesOnSomeStagesOnly) {
  ExpectParity(Halved(Generated("one_f_one_b", 3, 4), {1}));
  ExpectParity(Halved(Generated("interleaved", 2, 4), {0, 3}));
}

TEST(GivenScheduleTest, HalvesNeedAnEvenNumberOfSamples) {
  const Schedule schedule = Halved(Generated("gpipe", 2, 4), {0, 1});
  Job job = TinyGpt("sgd");
  job.set_batch_size(12);
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_schedule()->set_text(PrintSchedule(schedule));
  job.mutable_partition()->set_stages(2);
  EXPECT_EQ(BuildPlan(job).status().message(),
            "schedule gpipe halves microbatches: batch_size 12 in 4 "
            "microbatches is 3 samples each, want an even number");
}

// Every two forwards of consecutive microbatches in one.
Schedule Doubled(Schedule schedule) {
  for (std::vector<Action>& list : schedule.ranks) {
    std::vector<Action> doubled;
    for (const Action& action : list) {
      if (!doubled.empty() && action.op == Op::kForward &&
          doubled.back().op == Op::kForward &&
          doubled.back().num_microbatches == 1 &&
          doubled.back().stage == action.stage &&
          doubled.back().microbatch.value() + 1 == action.microbatch.value()) {
        doubled.back().num_microbatches = 2;
        continue;
      }
      doubled.push_back(action);
    }
    list = std::move(doubled);
  }
  return schedule;
}

TEST(GivenScheduleTest, AForwardOfTwoHasTheBitsOfTwo) {
  ExpectParity(Doubled(Generated("gpipe", 3, 5)));
  ExpectParity(Doubled(Generated("loop_bfs", 2, 4)));
}

}  // namespace
}  // namespace penstock
