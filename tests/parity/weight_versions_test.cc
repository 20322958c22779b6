// Every weight policy gives the bits of a plain loop that reads, microbatch by
// microbatch, the weights that the policy's rule names.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"
#include "tests/parity/reference_loop.h"
#include "tests/parity/run_in_parts.h"

namespace penstock {
namespace {

using ::testing::ContainsRegex;

// Late weights matter by then.
constexpr int kUpdates = 30;

struct VersionCase {
  // Of the test; unique.
  std::string name;
  std::string policy;
  std::string optimizer = "adamw";
  int ranks = 2;
  // Groups, of `grouped`.
  int chunks = 1;
  int microbatches = 1;
  std::string preset = "gpt-nano";
  std::string dtype = "float32";
  std::string recompute = "never";
  bool tied = false;
  // Of steps; empty: one for all.
  std::vector<int> lengths;
  int evaluate_every = 0;

  int num_stages() const { return ranks * chunks; }
};

std::ostream& operator<<(std::ostream& out, const VersionCase& test) {
  return out << test.name;
}

// What a stage reads, as docs/weight_versions.md has it.
VersionedStage RuleOf(const VersionCase& test, int stage) {
  const int p = test.ranks;
  const int v = test.chunks;
  const int m = test.microbatches;
  if (test.policy == "stash") return {{}, 1, p - 1 - stage};
  if (test.policy == "vertical") return {{}, 1, p - 1};
  if (test.policy == "double_buffer") return {{}, m, 1};
  if (test.policy == "flush") return {{}, m, 0};
  const int group = stage / p;
  const int ahead = (v - 1 - 2 * group) * m + p - 1;
  return {{}, m, std::max(0, (ahead + v * m - 1) / (v * m))};
}

Job JobOf(const VersionCase& test) {
  const bool is_gpt = test.preset == "gpt-nano";
  Job job =
      is_gpt ? TinyGpt(test.optimizer) : TinyModel(test.preset, test.optimizer);
  if (is_gpt) {
    // At least a layer for each stage.
    const int blocks = std::max(1, (test.num_stages() - 3) / 2);
    auto& overrides = *job.mutable_model()->mutable_overrides();
    overrides["layers"] = absl::StrCat(blocks);
    overrides["tied"] = test.tied ? "true" : "false";
  }
  job.mutable_data()->mutable_sequence_lengths()->Add(test.lengths.begin(),
                                                      test.lengths.end());
  job.set_dtype(test.dtype);
  // Batch norm wants more than one sample in a microbatch.
  job.set_batch_size((is_gpt ? 1 : 2) * test.microbatches);
  const int per_update = RuleOf(test, 0).microbatches_per_update;
  const int per_step = test.microbatches / per_update;
  job.set_steps((kUpdates + per_step - 1) / per_step);
  job.mutable_weights()->set_policy(test.policy);
  ScheduleSpec& schedule = *job.mutable_schedule();
  schedule.clear_name();
  schedule.set_microbatches(test.microbatches);
  schedule.set_recompute(test.recompute);
  if (test.policy == "grouped") {
    (*schedule.mutable_parameters())["chunks"] = absl::StrCat(test.chunks);
  }
  job.mutable_partition()->set_ranks(test.ranks);
  job.mutable_partition()->set_stages(test.num_stages());
  if (test.evaluate_every > 0) {
    EvaluationSpec& evaluation = *job.mutable_evaluation();
    evaluation.set_every_steps(test.evaluate_every);
    evaluation.set_microbatches(4);
    evaluation.set_tokens(job.data().tokens());
  }
  return job;
}

std::vector<VersionedStage> RulesOf(const VersionCase& test, const Plan& plan) {
  return RulesOf(plan, [&](int stage) { return RuleOf(test, stage); });
}

class WeightVersionsTest : public ::testing::TestWithParam<VersionCase> {};

TEST_P(WeightVersionsTest, HaveTheBitsOfTheReplayedRule) {
  const VersionCase& test = GetParam();
  const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(test));
  ASSERT_TRUE(built.ok()) << built.status();
  const Plan& plan = built->plan;
  const int num_steps = static_cast<int>(plan.job().steps());
  ExpectSameBits(TrainInThreads(plan, num_steps),
                 ReplayVersions(plan.job(), num_steps, RulesOf(test, plan)));
}

std::vector<VersionCase> Cases() {
  std::vector<VersionCase> cases;
  const auto add = [&](VersionCase test) {
    if (test.name.empty()) {
      test.name =
          absl::StrCat(test.policy, "_", test.optimizer, "_p", test.ranks, "_m",
                       test.microbatches,
                       test.chunks > 1 ? absl::StrCat("_v", test.chunks) : "");
    }
    cases.push_back(std::move(test));
  };
  for (const std::string optimizer : {"sgd", "adamw"}) {
    for (int p = 1; p <= 4; ++p) {
      const int least = std::max(1, p - 1);
      for (const std::string policy : {"stash", "vertical"}) {
        // The length of a period is not to matter.
        for (const int m : {1, 3}) {
          add({.policy = policy,
               .optimizer = optimizer,
               .ranks = p,
               .microbatches = m});
        }
      }
      for (const int m : {least, p + 1}) {
        add({.policy = "double_buffer",
             .optimizer = optimizer,
             .ranks = p,
             .microbatches = m});
      }
      for (const int v : {1, 2, 4}) {
        for (const int m : std::set<int>{least, p}) {
          add({.policy = "grouped",
               .optimizer = optimizer,
               .ranks = p,
               .chunks = v,
               .microbatches = m});
        }
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, WeightVersionsTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// What else a job may ask for, with each policy.
std::vector<VersionCase> OtherCases() {
  std::vector<VersionCase> cases;
  for (const std::string policy :
       {"stash", "vertical", "double_buffer", "grouped"}) {
    const VersionCase base = {.policy = policy,
                              .ranks = 3,
                              .chunks = policy == "grouped" ? 2 : 1,
                              .microbatches = 3};
    VersionCase test = base;
    test.name = absl::StrCat(policy, "_batch_norm");
    test.preset = "cnn";
    cases.push_back(test);
    test = base;
    test.name = absl::StrCat(policy, "_recompute");
    test.recompute = "always";
    cases.push_back(test);
    test = base;
    test.name = absl::StrCat(policy, "_lengths");
    test.lengths = {3, 8, 5, 8};
    cases.push_back(test);
    test = base;
    test.name = absl::StrCat(policy, "_bfloat16");
    test.dtype = "bfloat16";
    cases.push_back(test);
    test = base;
    test.name = absl::StrCat(policy, "_evaluated");
    // Of 10 steps, or of 30.
    test.evaluate_every = policy == "stash" || policy == "vertical" ? 5 : 8;
    cases.push_back(test);
    test = base;
    test.name = absl::StrCat(policy, "_tied_within_a_stage");
    test.ranks = 1;
    test.chunks = 1;
    test.tied = true;
    cases.push_back(test);
  }
  return cases;
}

// Weights that are tied between the first and the last stage, where both read
// the same version.
std::vector<VersionCase> TiedCases() {
  std::vector<VersionCase> cases;
  for (const std::string policy : {"vertical", "double_buffer"}) {
    for (const std::string optimizer : {"sgd", "adamw"}) {
      for (int p = 2; p <= 4; ++p) {
        cases.push_back(
            {.name = absl::StrCat(policy, "_", optimizer, "_p", p),
             .policy = policy,
             .optimizer = optimizer,
             .ranks = p,
             .microbatches = policy == "vertical" ? 2 : std::max(2, p - 1),
             .tied = true});
      }
    }
    VersionCase test = {.name = absl::StrCat(policy, "_bfloat16"),
                        .policy = policy,
                        .ranks = 3,
                        .microbatches = 3,
                        .dtype = "bfloat16",
                        .tied = true};
    cases.push_back(test);
    test.name = absl::StrCat(policy, "_evaluated");
    test.dtype = "float32";
    test.evaluate_every = policy == "vertical" ? 5 : 8;
    cases.push_back(test);
    test.name = absl::StrCat(policy, "_recompute");
    test.evaluate_every = 0;
    test.recompute = "always";
    cases.push_back(test);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Tied, WeightVersionsTest,
                         ::testing::ValuesIn(TiedCases()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Other, WeightVersionsTest,
                         ::testing::ValuesIn(OtherCases()),
                         [](const auto& info) { return info.param.name; });

// Drains on request.

class DrainTest : public ::testing::TestWithParam<VersionCase> {
 protected:
  void SetUp() override {
    const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(GetParam()));
    ASSERT_TRUE(built.ok()) << built.status();
    plan_ = built->plan;
  }

  absl::StatusOr<TrainingRecord> Replay(int newest_only_after) const {
    absl::StatusOr<TrainingRecord> record =
        ReplayVersions(plan_.job(), static_cast<int>(plan_.job().steps()),
                       RulesOf(GetParam(), plan_), newest_only_after);
    if (record.ok()) record->losses.clear();
    return record;
  }

  Plan plan_;
};

TEST_P(DrainTest, ChangesNoBitWhereAllVersionsStay) {
  const int step = static_cast<int>(plan_.job().steps()) / 2;
  ExpectSameBits(
      TrainInParts(plan_, {.after_step = step, .told_after_step = 1}),
      Replay(/*newest_only_after=*/0));
}

TEST_P(DrainTest, GoesOnFromTheNewestVersionWhereTheOthersAreGone) {
  const int step = static_cast<int>(plan_.job().steps()) / 2;
  const auto got = TrainInParts(
      plan_, {.after_step = step, .told_after_step = 1, .newest_only = true});
  ExpectSameBits(got, Replay(/*newest_only_after=*/step));
  ASSERT_TRUE(got.ok());
  EXPECT_NE(got->layer_digests, Replay(0)->layer_digests);
}

TEST_P(DrainTest, ThatIsAskedForTooLateSaysWhenItCan) {
  EXPECT_THAT(
      std::string(TrainInParts(plan_, {.after_step = 6, .told_after_step = 6})
                      .status()
                      .message()),
      ContainsRegex("cannot be drained after step 6 any more.*it can after "
                    "step [0-9]+"));
}

INSTANTIATE_TEST_SUITE_P(
    Policies, DrainTest,
    ::testing::Values(
        VersionCase{.name = "stash", .policy = "stash", .ranks = 3},
        VersionCase{.name = "stash_of_three",
                    .policy = "stash",
                    .optimizer = "sgd",
                    .ranks = 3,
                    .microbatches = 3},
        VersionCase{.name = "vertical", .policy = "vertical", .ranks = 3},
        VersionCase{.name = "double_buffer",
                    .policy = "double_buffer",
                    .ranks = 3,
                    .microbatches = 3},
        VersionCase{.name = "double_buffer_tied",
                    .policy = "double_buffer",
                    .ranks = 3,
                    .microbatches = 3,
                    .tied = true},
        VersionCase{.name = "grouped",
                    .policy = "grouped",
                    .ranks = 2,
                    .chunks = 2,
                    .microbatches = 2}),
    [](const auto& info) { return info.param.name; });

// The replay itself: without lateness it is the plain loop.

TEST(ReplayTest, OfOneStageThatIsNeverLateIsThePlainLoop) {
  for (const std::string optimizer : {"sgd", "adamw"}) {
    const VersionCase test = {.policy = "flush",
                              .optimizer = optimizer,
                              .ranks = 1,
                              .microbatches = 3,
                              .tied = true};
    const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(test));
    ASSERT_TRUE(built.ok()) << built.status();
    absl::StatusOr<TrainingRecord> plain = ReferenceOf(built->plan);
    ASSERT_TRUE(plain.ok()) << plain.status();
    plain->gradient_norms.clear();
    ExpectSameBits(
        ReplayVersions(built->plan.job(), kUpdates, RulesOf(test, built->plan)),
        plain);
  }
}

TEST(ReplayTest, LatenessChangesTheBits) {
  const VersionCase test = {
      .policy = "double_buffer", .ranks = 2, .microbatches = 2};
  const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(test));
  ASSERT_TRUE(built.ok()) << built.status();
  std::vector<VersionedStage> stages = RulesOf(test, built->plan);
  const auto late = ReplayVersions(built->plan.job(), kUpdates, stages);
  stages[1].delay = 0;
  const auto fresh = ReplayVersions(built->plan.job(), kUpdates, stages);
  ASSERT_TRUE(late.ok() && fresh.ok()) << late.status() << fresh.status();
  EXPECT_NE(late->losses, fresh->losses);
  EXPECT_EQ(late->losses[0], fresh->losses[0]);
}

}  // namespace
}  // namespace penstock
