// Jobs whose steps have several lengths give the bits of a plain loop over the
// same samples.

#include "models/graph/step_lengths.h"

#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/job.pb.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

// Dropout on, embedding and head tied.
Job LengthsJob(const std::vector<int>& lengths) {
  Job job = TinyGpt("adamw");
  job.mutable_schedule()->set_microbatches(4);
  for (const int length : lengths) {
    job.mutable_data()->add_sequence_lengths(length);
  }
  return job;
}

const std::vector<int>& Lengths() {
  static const auto* const lengths = new std::vector<int>{3, 8, 5, 8};
  return *lengths;
}

class StepLengthsTest
    : public ::testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(StepLengthsTest, HaveTheBitsOfThePlainLoop) {
  const auto& [schedule, stages] = GetParam();
  Job job = LengthsJob(Lengths());
  job.mutable_schedule()->set_name(schedule);
  job.mutable_partition()->set_stages(stages);
  ExpectSameBits(TrainPipelined(job), Reference(job));
}

INSTANTIATE_TEST_SUITE_P(
    Matrix, StepLengthsTest,
    ::testing::Combine(::testing::Values("gpipe", "one_f_one_b", "zb_h1"),
                       ::testing::Values(1, 2, 4)),
    [](const auto& info) {
      return absl::StrCat(std::get<0>(info.param), "_p",
                          std::get<1>(info.param));
    });

TEST(StepLengthsTest, TheStepsHereHaveAllLengths) {
  const Job job = LengthsJob(Lengths());
  const StepLengths lengths(job.seed(), {Lengths().begin(), Lengths().end()});
  std::set<int64_t> seen;
  for (int step = 0; step < job.steps(); ++step) {
    seen.insert(lengths.LengthOf(step));
  }
  EXPECT_EQ(seen, (std::set<int64_t>{3, 5, 8}));
}

TEST(StepLengthsTest, HaveTheBitsWhenEverythingIsRecomputed) {
  Job job = LengthsJob(Lengths());
  job.mutable_schedule()->set_name("one_f_one_b");
  job.mutable_schedule()->set_recompute("always");
  job.mutable_partition()->set_stages(3);
  ExpectSameBits(TrainPipelined(job), Reference(job));
}

TEST(StepLengthsTest, HaveTheBitsOfReplicasAndOfHalves) {
  Job replicas = LengthsJob(Lengths());
  replicas.mutable_schedule()->set_name("one_f_one_b");
  replicas.mutable_partition()->set_stages(2);
  replicas.mutable_partition()->add_replicas(2);
  ExpectSameBits(TrainPipelined(replicas), ReferenceOfPlan(replicas));

  // Backward messages are of half a microbatch.
  Job halves = LengthsJob(Lengths());
  halves.set_batch_size(48);
  halves.mutable_schedule()->set_name("chimera");
  (*halves.mutable_schedule()->mutable_parameters())["scale"] = "halving";
  halves.mutable_partition()->set_stages(2);
  ExpectSameBits(TrainPipelined(halves), ReferenceOfPlan(halves));
}

TEST(StepLengthsTest, TrainThroughSmallerMessages) {
  for (const char* const compress : {"bf16", "fp8_block", "auto"}) {
    Job job = LengthsJob(Lengths());
    job.mutable_schedule()->set_name("one_f_one_b");
    job.mutable_partition()->set_stages(2);
    job.mutable_wire()->set_compress(compress);
    const absl::StatusOr<TrainingRecord> got = TrainPipelined(job);
    ASSERT_TRUE(got.ok()) << compress << ": " << got.status();
    const auto& plain = Reference(job);
    ASSERT_TRUE(plain.ok());
    // Before the first message has been rounded.
    EXPECT_NEAR(got->losses[0], plain->losses[0], 0.05) << compress;
  }
}

TEST(StepLengthsTest, OneLengthIsTheJobOfThatLength) {
  for (const std::vector<int>& lengths :
       std::vector<std::vector<int>>{{8}, {8, 8}}) {
    Job job = LengthsJob(lengths);
    job.mutable_schedule()->set_name("one_f_one_b");
    job.mutable_partition()->set_stages(2);
    ExpectSameBits(TrainPipelined(job), Reference(LengthsJob({})));
  }
}

}  // namespace
}  // namespace penstock
