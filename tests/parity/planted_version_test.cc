// A microbatch that reads a version other than the one that the rule names: the
// verifier says so, and past the verifier the bits are others than the
// replay's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "coordinator/core/plan_builder.h"
#include "schedule/ir/schedule.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/verifier/verify.h"
#include "tests/parity/parity_fixture.h"
#include "tests/parity/reference_loop.h"
#include "tests/parity/unchecked_run.h"

namespace penstock {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr int kSteps = 8;

Plan TwoBufferedStages() {
  Job job = TinyGpt("adamw");
  (*job.mutable_model()->mutable_overrides())["tied"] = "false";
  job.set_batch_size(8);
  job.set_steps(kSteps);
  job.mutable_schedule()->set_name("pipedream_2bw");
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_partition()->set_stages(2);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  EXPECT_TRUE(built.ok()) << built.status();
  return built->plan;
}

// In each period, forward and backward of the last stage's last microbatch read
// a version that is `by` updates newer than the rule's.
Schedule Planted(const Plan& plan, int by) {
  Schedule schedule = *FromProto(plan.schedule());
  std::vector<Action>& period = schedule.period.back();
  int last = 0;
  for (const Action& action : period) {
    if (action.op == Op::kForward) last = action.microbatch.value();
  }
  for (Action& action : period) {
    if (IsCompute(action.op) && action.microbatch == MicrobatchId(last)) {
      action.version = *action.version + by;
    }
  }
  return schedule;
}

UncheckedOutcome Train(const Plan& plan, const Schedule& schedule) {
  return TrainUnchecked(plan, schedule, kSteps, absl::Seconds(20));
}

// By layer, as `TrainUnchecked` has them.
std::map<std::string, std::string> Replayed(const Plan& plan) {
  std::vector<VersionedStage> stages;
  std::vector<std::string> owners;
  for (const StagePlan& stage : plan.stages()) {
    stages.push_back({{stage.layers().begin(), stage.layers().end()}, 4, 1});
    owners.insert(owners.end(), stage.layers().begin(), stage.layers().end());
  }
  const absl::StatusOr<TrainingRecord> record =
      ReplayVersions(plan.job(), kSteps, stages);
  EXPECT_TRUE(record.ok()) << record.status();
  std::map<std::string, std::string> digests;
  // The loss is the last layer and owns nothing.
  for (size_t i = 0; i < record->layer_digests.size(); ++i) {
    digests[owners[i]] = record->layer_digests[i];
  }
  return digests;
}

TEST(PlantedVersionTest, WithoutItTheBitsAreTheReplays) {
  const Plan plan = TwoBufferedStages();
  const UncheckedOutcome outcome = Train(plan, Planted(plan, 0));
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.digests, Replayed(plan));
}

TEST(PlantedVersionTest, TheVerifierNamesIt) {
  const Plan plan = TwoBufferedStages();
  EXPECT_TRUE(Verify(Planted(plan, 0)).empty());
  for (const int by : {-1, 1}) {
    EXPECT_THAT(Verify(Planted(plan, by)),
                Contains(Field(&Violation::rule,
                               AnyOf("staleness", "weight_version"))));
  }
}

// Its newer version is there by then, so nothing but the bits can tell.
TEST(PlantedVersionTest, ANewerVersionChangesTheBits) {
  const Plan plan = TwoBufferedStages();
  const UncheckedOutcome outcome = Train(plan, Planted(plan, 1));
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_NE(outcome.digests, Replayed(plan));
}

TEST(PlantedVersionTest, AnOlderVersionThatIsGoneFailsTheRun) {
  const Plan plan = TwoBufferedStages();
  const UncheckedOutcome outcome = Train(plan, Planted(plan, -1));
  EXPECT_TRUE(absl::IsInternal(outcome.status)) << outcome.status;
  EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("stage 1"));
}

}  // namespace
}  // namespace penstock
