// Messages that come late, and in another order between channels, change no
// bit; messages that do not come end the job with an error.

#include "stage_server/transport/faulty/faulty_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>

#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "schedule/generators/registry.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

struct FamilyCase {
  std::string schedule;
  std::string recompute = "never";
  int ranks = 4;
};

std::ostream& operator<<(std::ostream& out, const FamilyCase& test) {
  return out << test.schedule << "_" << test.recompute;
}

Plan PlanOf(const FamilyCase& test, double step_timeout_seconds = 60) {
  Job job = TinyGpt("adamw");
  (*job.mutable_model()->mutable_overrides())["layers"] = "3";
  job.set_steps(2);
  job.set_step_timeout_seconds(step_timeout_seconds);
  job.mutable_schedule()->set_name(test.schedule);
  job.mutable_schedule()->set_microbatches(8);
  job.mutable_schedule()->set_recompute(test.recompute);
  job.mutable_partition()->set_ranks(test.ranks);
  const absl::StatusOr<int> stages = CountStages(
      test.schedule, {.num_ranks = test.ranks, .num_microbatches = 8});
  EXPECT_TRUE(stages.ok()) << stages.status();
  job.mutable_partition()->set_stages(stages.value_or(1));
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  EXPECT_TRUE(built.ok()) << built.status();
  return built.ok() ? built->plan : Plan();
}

class FaultyTransportParityTest : public ::testing::TestWithParam<FamilyCase> {
};

TEST_P(FaultyTransportParityTest, DelaysOnEveryChannelChangeNoBit) {
  const Plan plan = PlanOf(GetParam());
  for (const uint64_t seed : {1, 2}) {
    ThreadOptions options;
    options.faults = Faults{.seed = seed, .delay = 0.7, .max_delay = 64};
    ExpectSameBits(TrainInThreads(plan, 2, options), ReferenceOf(plan));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, FaultyTransportParityTest,
    ::testing::Values(
        FamilyCase{"naive"}, FamilyCase{"gpipe"}, FamilyCase{"one_f_one_b"},
        FamilyCase{"one_f_one_b", "always"}, FamilyCase{"interleaved"},
        FamilyCase{"loop_bfs"}, FamilyCase{"chimera"}, FamilyCase{"zb_h1"},
        FamilyCase{"zbv"}, FamilyCase{"v_half"}, FamilyCase{"dual_pipe_v"}));

TEST(FaultyTransportParity, LostMessagesAreAnErrorAndNeverAnotherNumber) {
  const Plan plan = PlanOf({.schedule = "one_f_one_b", .ranks = 2},
                           /*step_timeout_seconds=*/0.5);
  ThreadOptions options;
  options.faults = Faults{.seed = 3, .drop = 0.2};
  const auto run = TrainInThreads(plan, 2, options);
  ASSERT_FALSE(run.ok());
  EXPECT_TRUE(run.status().code() == absl::StatusCode::kDataLoss ||
              run.status().code() == absl::StatusCode::kDeadlineExceeded)
      << run.status();
}

TEST(FaultyTransportParity, ARankThatDiesEndsTheOthers) {
  const Plan plan = PlanOf({.schedule = "one_f_one_b", .ranks = 2});
  ThreadOptions options;
  options.faults = Faults{.die_after = 11};
  const auto run = TrainInThreads(plan, 2, options);
  EXPECT_EQ(run.status().code(), absl::StatusCode::kUnavailable)
      << run.status();
}

}  // namespace
}  // namespace penstock
