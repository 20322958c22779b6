// A run that never drains, stopped and gone on with: at the same shape it has
// the bits of one that was never stopped, since all versions that are read
// later are kept; at another shape it goes on from the newest weights.

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/job.pb.h"
#include "proto/stage_service.pb.h"
#include "tests/parity/parity_fixture.h"
#include "tests/parity/resumed_training.h"

namespace penstock {
namespace {

struct PolicyCase {
  std::string policy;
  int ranks = 2;
  int microbatches = 2;
  int chunks = 1;
  std::string optimizer = "adamw";
  std::string preset = "gpt-nano";
  std::string dtype = "float32";
  // Of each rank.
  std::vector<int> replicas = {1};
  bool tied = false;
};

std::string NameOf(const PolicyCase& test) {
  return absl::StrCat(test.policy, "_p", test.ranks, "_m", test.microbatches,
                      "_v", test.chunks, "_", test.optimizer, "_",
                      test.preset == "gpt-nano" ? "gpt" : test.preset, "_",
                      test.dtype, "_r", absl::StrJoin(test.replicas, "_"),
                      test.tied ? "_tied" : "");
}

std::ostream& operator<<(std::ostream& out, const PolicyCase& test) {
  return out << NameOf(test);
}

Job JobOf(const PolicyCase& test) {
  const bool is_gpt = test.preset == "gpt-nano";
  Job job =
      is_gpt ? TinyGpt(test.optimizer) : TinyModel(test.preset, test.optimizer);
  if (is_gpt) {
    (*job.mutable_model()->mutable_overrides())["tied"] =
        test.tied ? "true" : "false";
  }
  job.set_dtype(test.dtype);
  job.set_batch_size(2 * test.microbatches);
  job.set_steps(12);
  job.mutable_weights()->set_policy(test.policy);
  job.mutable_schedule()->clear_name();
  job.mutable_schedule()->set_microbatches(test.microbatches);
  if (test.chunks > 1) {
    (*job.mutable_schedule()->mutable_parameters())["chunks"] =
        absl::StrCat(test.chunks);
  }
  job.mutable_partition()->set_ranks(test.ranks);
  job.mutable_partition()->set_stages(test.ranks * test.chunks);
  job.mutable_partition()->mutable_replicas()->Add(test.replicas.begin(),
                                                   test.replicas.end());
  return job;
}

class ResumeContinuousTest : public ::testing::TestWithParam<PolicyCase> {};

TEST_P(ResumeContinuousTest, AtTheSameShapeHasTheBitsOfTheUninterruptedRun) {
  const Job job = JobOf(GetParam());
  ResumedTraining training;
  const auto whole = training.Finish(job, 0);
  ExpectSameBits(TrainPipelined(job), whole);
  for (const int64_t step : {1, 2, 5, 6}) {
    SCOPED_TRACE(absl::StrCat("from step ", step));
    ExpectSameBits(training.Finish(job, step), RestOf(whole, step));
  }
  // From the checkpoints of a run that was itself gone on with.
  ExpectSameBits(training.Finish(job, 7), RestOf(whole, 7));
}

INSTANTIATE_TEST_SUITE_P(
    All, ResumeContinuousTest,
    ::testing::Values(
        PolicyCase{.policy = "stash"},
        PolicyCase{.policy = "stash", .ranks = 3, .microbatches = 1},
        PolicyCase{.policy = "stash", .optimizer = "sgd"},
        PolicyCase{.policy = "stash", .ranks = 3, .preset = "cnn"},
        PolicyCase{.policy = "stash", .dtype = "bfloat16"},
        PolicyCase{.policy = "vertical", .ranks = 3},
        PolicyCase{.policy = "double_buffer"},
        PolicyCase{.policy = "double_buffer", .ranks = 3, .microbatches = 3},
        PolicyCase{.policy = "double_buffer", .dtype = "bfloat16"},
        PolicyCase{.policy = "stash", .ranks = 3, .replicas = {2, 1, 1}},
        PolicyCase{.policy = "double_buffer", .replicas = {2}},
        PolicyCase{.policy = "double_buffer", .tied = true},
        PolicyCase{
            .policy = "double_buffer", .dtype = "bfloat16", .tied = true},
        PolicyCase{.policy = "vertical", .ranks = 3, .tied = true},
        PolicyCase{.policy = "grouped", .chunks = 2},
        PolicyCase{.policy = "grouped",
                   .ranks = 3,
                   .microbatches = 3,
                   .chunks = 2,
                   .optimizer = "sgd"}),
    [](const auto& info) { return NameOf(info.param); });

// The same weights at the start of the rest, and it goes on.
void ExpectGoesOn(const Job& before, const Job& after, int64_t step) {
  ResumedTraining training;
  const auto first = training.Run(before, 0, before.steps());
  ASSERT_TRUE(first.ok()) << first.status();
  training.checkpoint(step).set_other_shape(true);
  const auto rest = training.Finish(after, step);
  ASSERT_TRUE(rest.ok()) << rest.status();
  ASSERT_EQ(rest->losses.size(), static_cast<size_t>(after.steps() - step));
  // A step's loss is of weights as old as the policy has them.
  EXPECT_NEAR(rest->losses.front(), first->losses[step], 0.2);
}

TEST(ResumeOtherShapeTest, OtherRanksGoOnFromTheNewestWeights) {
  for (const std::string policy : {"stash", "double_buffer"}) {
    SCOPED_TRACE(policy);
    ExpectGoesOn(JobOf({.policy = policy, .ranks = 2}),
                 JobOf({.policy = policy, .ranks = 3}), 5);
  }
}

TEST(ResumeOtherShapeTest, PoliciesMayBeExchanged) {
  Job flush = JobOf({.policy = "flush"});
  flush.mutable_schedule()->set_name("one_f_one_b");
  const Job stash = JobOf({.policy = "stash"});
  ExpectGoesOn(flush, stash, 4);
  ExpectGoesOn(stash, flush, 4);
  ExpectGoesOn(stash, JobOf({.policy = "double_buffer"}), 4);
}

}  // namespace
}  // namespace penstock
