// A run that is stopped and goes on from a checkpoint has the bits of one that
// never was: at every step, at any number of stages, with any flush schedule.

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/job.pb.h"
#include "proto/stage_service.pb.h"
#include "tests/parity/parity_fixture.h"
#include "tests/parity/resumed_training.h"

namespace penstock {
namespace {

Job Cut(Job job, const std::string& schedule, int stages,
        int microbatches = 4) {
  job.mutable_schedule()->set_name(schedule);
  job.mutable_schedule()->set_microbatches(microbatches);
  job.mutable_partition()->set_stages(stages);
  return job;
}

// Stopped after each step in turn, and gone on with by a job cut otherwise.
void ExpectSameBitsFromEachStep(const Job& before, const Job& after) {
  const auto whole = ReferenceOfPlan(before);
  ResumedTraining training;
  ExpectSameBits(training.Finish(before, 0), whole);
  for (int64_t step = 1; step < before.steps(); ++step) {
    SCOPED_TRACE(absl::StrCat("from step ", step));
    ExpectSameBits(training.Finish(after, step), RestOf(whole, step));
  }
}

class ResumeTest
    : public ::testing::TestWithParam<std::tuple<const char*, int, int>> {};

TEST_P(ResumeTest, FromAnyStepAtAnyNumberOfStagesHasTheSameBits) {
  const auto& [optimizer, before, after] = GetParam();
  Job job = TinyGpt(optimizer);
  job.set_steps(5);
  ExpectSameBitsFromEachStep(Cut(job, "one_f_one_b", before),
                             Cut(job, "one_f_one_b", after));
}

INSTANTIATE_TEST_SUITE_P(Matrix, ResumeTest,
                         ::testing::Combine(::testing::Values("sgd", "adamw"),
                                            ::testing::Values(1, 2, 3, 4),
                                            ::testing::Values(1, 2, 3, 4)),
                         [](const auto& info) {
                           return absl::StrCat(std::get<0>(info.param), "_",
                                               std::get<1>(info.param), "_to_",
                                               std::get<2>(info.param));
                         });

TEST(ResumeOtherwiseTest, FlushSchedulesMayBeExchanged) {
  const std::vector<std::string> schedules = {"gpipe", "zb_h1", "one_f_one_b",
                                              "naive"};
  for (size_t i = 0; i < schedules.size(); ++i) {
    SCOPED_TRACE(schedules[i]);
    Job job = TinyGpt("adamw");
    job.set_steps(3);
    ExpectSameBitsFromEachStep(
        Cut(job, schedules[i], 2),
        Cut(job, schedules[(i + 1) % schedules.size()], 3));
  }
}

TEST(ResumeOtherwiseTest, RecomputeMayBegin) {
  Job job = TinyGpt("adamw");
  job.set_steps(3);
  Job after = Cut(job, "one_f_one_b", 3);
  after.mutable_schedule()->set_recompute("always");
  ExpectSameBitsFromEachStep(Cut(job, "one_f_one_b", 2), after);
}

TEST(ResumeOtherwiseTest, RunningStatisticsGoOn) {
  Job job = TinyModel("cnn", "sgd");
  job.set_steps(4);
  ExpectSameBitsFromEachStep(Cut(job, "gpipe", 2), Cut(job, "gpipe", 3));
}

TEST(ResumeOtherwiseTest, Bfloat16GoesOnFromItsMasters) {
  Job job = TinyGpt("adamw");
  job.set_dtype("bfloat16");
  job.set_steps(4);
  ExpectSameBitsFromEachStep(Cut(job, "one_f_one_b", 2),
                             Cut(job, "one_f_one_b", 3));
}

TEST(ResumeOtherwiseTest, OnOtherReplicasTheDeclaredOrderGoesOn) {
  Job job = TinyGpt("adamw");
  job.set_steps(4);
  job = Cut(job, "one_f_one_b", 2);
  job.mutable_partition()->mutable_replicas()->Add(2);
  Job moved = job;
  moved.mutable_partition()->set_stages(3);
  ExpectSameBitsFromEachStep(job, job);
  ExpectSameBitsFromEachStep(job, moved);
}

TEST(ResumeOtherwiseTest, TwiceAndOverTheEndOfAnEpochOfTheData) {
  Job job = TinyGpt("adamw");
  // 499 sequences, 24 a step: an epoch ends within step 21.
  job.set_steps(23);
  const Job two = Cut(job, "one_f_one_b", 2);
  const Job three = Cut(job, "gpipe", 3);
  const Job four = Cut(job, "zb_h1", 4);
  const auto whole = Reference(two);
  ResumedTraining training;
  ASSERT_TRUE(training.Run(two, 0, 19).ok());
  ASSERT_TRUE(training.Run(three, 19, 20).ok());
  ASSERT_TRUE(training.Run(four, 20, 22).ok());
  ExpectSameBits(training.Finish(two, 22), RestOf(whole, 22));
  ExpectSameBits(training.Finish(three, 20), RestOf(whole, 20));
  ExpectSameBits(training.Finish(four, 21), RestOf(whole, 21));
}

TEST(ResumeOtherwiseTest, ALossScaleGoesOnWhereItWas) {
  Job job = TinyGpt("sgd");
  job.set_dtype("float16");
  job.set_steps(6);
  LossScaleSpec* const scale = job.mutable_loss_scale();
  // So large that the first steps are skipped.
  scale->set_initial(1e9);
  scale->set_minimum(1);
  scale->set_growth(2);
  scale->set_backoff(0.25);
  scale->set_growth_interval(2);
  const Job before = Cut(job, "gpipe", 2);
  const Job after = Cut(job, "gpipe", 3);
  const auto whole = ReferenceOfPlan(before);
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_FALSE(whole->skipped_steps.empty());
  ResumedTraining training;
  ExpectSameBits(training.Finish(before, 0), whole);
  for (int64_t step = 1; step < job.steps(); ++step) {
    SCOPED_TRACE(absl::StrCat("from step ", step));
    const auto rest = training.Finish(after, step);
    ASSERT_TRUE(rest.ok()) << rest.status();
    EXPECT_EQ(rest->losses, RestOf(whole, step)->losses);
    EXPECT_TRUE(rest->layer_digests == whole->layer_digests);
  }
}

TEST(ResumeOtherwiseTest, WeightsAloneBeginANewTraining) {
  Job job = Cut(TinyGpt("adamw"), "one_f_one_b", 2);
  job.set_steps(4);
  ResumedTraining training;
  const auto first = training.Finish(job, 0);
  ASSERT_TRUE(first.ok()) << first.status();
  // Without a step both have the checkpoint's weights.
  RestorePoint& point = training.checkpoint(4);
  point.set_weights_only(true);
  const auto again = training.Run(job, 4, 0);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->layer_digests == first->layer_digests);
  const auto trained = training.Finish(job, 4);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_EQ(trained->losses.size(), 4u);
  EXPECT_LT(trained->losses[0], first->losses[0]);
}

// ---- Refused --------------------------------------------------------------

absl::Status ResumeOf(const Job& before, const Job& after) {
  ResumedTraining training;
  const auto first = training.Run(before, 0, 1);
  if (!first.ok()) return absl::InternalError(first.status().ToString());
  return training.Finish(after, 1).status();
}

TEST(RefusedResumeTest, AnotherModelNamesWhatIsMissing) {
  const Job job = Cut(TinyGpt("sgd"), "gpipe", 2);
  Job other = job;
  (*other.mutable_model()->mutable_overrides())["layers"] = "2";
  const absl::Status status = ResumeOf(job, other);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("of layer \"h1."), std::string::npos)
      << status;
}

TEST(RefusedResumeTest, AnotherOptimizerNamesItsState) {
  Job job = Cut(TinyGpt("sgd"), "gpipe", 2);
  Job other = Cut(TinyGpt("adamw"), "gpipe", 2);
  const absl::Status status = ResumeOf(job, other);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("/exp_avg\" is missing"), std::string::npos)
      << status;
}

TEST(RefusedResumeTest, OtherThreadsAreOtherNumericsUnlessAllowed) {
  const Job job = Cut(TinyGpt("sgd"), "gpipe", 2);
  Job other = job;
  other.set_threads(2);
  const absl::Status status = ResumeOf(job, other);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("now threads 2; then threads 1"),
            std::string::npos)
      << status;
  other.mutable_start()->set_allow_other_numerics(true);
  EXPECT_TRUE(ResumeOf(job, other).ok());
}

TEST(RefusedResumeTest, OtherDataIsRefusedUnlessAllowed) {
  const Job job = Cut(TinyModel("cnn", "sgd"), "gpipe", 2);
  Job other = job;
  other.set_seed(job.seed() + 1);
  const absl::Status status = ResumeOf(job, other);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("start.allow_other_data"), std::string::npos)
      << status;
  other.mutable_start()->set_allow_other_data(true);
  EXPECT_TRUE(ResumeOf(job, other).ok());
}

TEST(RefusedResumeTest, AStepBeyondTheJobsIsNone) {
  const Job job = Cut(TinyGpt("sgd"), "gpipe", 2);
  ResumedTraining training;
  ASSERT_TRUE(training.Run(job, 0, 3).ok());
  Job shorter = job;
  shorter.set_steps(2);
  const absl::Status status = training.Finish(shorter, 3).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("of step 3, the job has 2"),
            std::string::npos)
      << status;
}

}  // namespace
}  // namespace penstock
