#include "coordinator/core/job_check.h"

#include <cmath>
#include <functional>

#include "coordinator/core/job_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

TEST(CheckJobTest, SoundJobPasses) {
  EXPECT_TRUE(CheckJob(SmallJob()).ok()) << CheckJob(SmallJob());
}

struct BadJob {
  std::string name;
  std::function<void(Job&)> spoil;
  std::string message;
};

class BadJobTest : public ::testing::TestWithParam<BadJob> {};

TEST_P(BadJobTest, IsRefusedByName) {
  Job job = SmallJob();
  GetParam().spoil(job);
  const absl::Status status = CheckJob(job);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Jobs, BadJobTest,
    ::testing::Values(
        BadJob{"NoName", [](Job& job) { job.set_name(""); }, "name: \"\""},
        BadJob{"NameWithSlash", [](Job& job) { job.set_name("a/b"); },
               "name: \"a/b\""},
        BadJob{"NoBatch", [](Job& job) { job.set_batch_size(0); },
               "batch_size must be at least 1, got 0"},
        BadJob{"NegativeSteps", [](Job& job) { job.set_steps(-3); },
               "steps must be at least 1, got -3"},
        BadJob{"NoSequence",
               [](Job& job) { job.mutable_data()->set_sequence_length(0); },
               "data.sequence_length"},
        BadJob{"StepsWithoutTokens",
               [](Job& job) { job.mutable_data()->add_sequence_lengths(0); },
               "data.sequence_lengths must be at least 1, got 0"},
        BadJob{"LongestLengthIsAnother",
               [](Job& job) {
                 job.mutable_data()->add_sequence_lengths(8);
                 job.mutable_data()->add_sequence_lengths(12);
               },
               "data.sequence_length is 16, and the longest of "
               "data.sequence_lengths is 12"},
        BadJob{"TooManyLengths",
               [](Job& job) {
                 for (int i = 0; i < 257; ++i) {
                   job.mutable_data()->add_sequence_lengths(16);
                 }
               },
               "data.sequence_lengths has 257 entries, want at most 256"},
        BadJob{"LeftOversOfAnotherLength",
               [](Job& job) {
                 job.mutable_data()->add_sequence_lengths(8);
                 job.mutable_data()->add_sequence_lengths(16);
                 job.mutable_wire()->set_compress("bf16");
                 job.mutable_wire()->set_error_feedback(true);
               },
               "wire.error_feedback: with data.sequence_lengths"},
        BadJob{"NoMicrobatches",
               [](Job& job) { job.mutable_schedule()->set_microbatches(0); },
               "schedule.microbatches must be at least 1"},
        BadJob{"BatchNotDivisible",
               [](Job& job) { job.mutable_schedule()->set_microbatches(3); },
               "batch_size 8 is not a multiple of schedule.microbatches 3; "
               "microbatches could be 1, 2, 4, 8, or batch_size 6 or 9"},
        BadJob{"MoreMicrobatchesThanSamples",
               [](Job& job) { job.mutable_schedule()->set_microbatches(16); },
               "or batch_size 16"},
        BadJob{"NoStages",
               [](Job& job) { job.mutable_partition()->set_stages(0); },
               "partition.stages must be at least 1"},
        BadJob{"PriorityTooHigh", [](Job& job) { job.set_priority(1001); },
               "priority must be from -1000 to 1000, got 1001"},
        BadJob{"PriorityTooLow", [](Job& job) { job.set_priority(-1001); },
               "priority must be from -1000 to 1000, got -1001"},
        BadJob{"NegativeThreads", [](Job& job) { job.set_threads(-1); },
               "threads must be at least 0"},
        BadJob{"NoTimeout", [](Job& job) { job.set_step_timeout_seconds(0); },
               "step_timeout_seconds must be more than 0"},
        BadJob{
            "UnknownDtype", [](Job& job) { job.set_dtype("float23"); },
            "dtype: \"float23\" is none of float32, bfloat16, float16; did you "
            "mean "
            "\"float32\"?"},
        BadJob{"UnknownCompression",
               [](Job& job) { job.mutable_wire()->set_compress("fp8"); },
               "wire.compress: \"fp8\" is none of none, bf16, fp16, "
               "fp8_block, auto"},
        BadJob{"CompressionOfEmulatedDevices",
               [](Job& job) {
                 job.mutable_emulate();
                 job.mutable_wire()->set_compress("bf16");
               },
               "wire.compress is bf16, want none with `emulate`"},
        BadJob{"UnknownOptimizer",
               [](Job& job) { job.mutable_optimizer()->set_kind("adam"); },
               "optimizer.kind: \"adam\" is none of sgd, adamw; did you mean "
               "\"adamw\"?"},
        BadJob{"RateNotANumber",
               [](Job& job) {
                 job.mutable_optimizer()->set_learning_rate(std::nan(""));
               },
               "optimizer.learning_rate must be at least 0, got nan"},
        BadJob{"MomentumOfOne",
               [](Job& job) { job.mutable_optimizer()->set_momentum(1); },
               "optimizer.momentum must be at least 0 and less than 1, got 1"},
        BadJob{"UnknownRateSchedule",
               [](Job& job) {
                 job.mutable_learning_rate_schedule()->set_kind("cosin");
               },
               "did you mean \"cosine\"?"},
        BadJob{"NegativeWarmup",
               [](Job& job) {
                 job.mutable_learning_rate_schedule()->set_warmup_steps(-1);
               },
               "learning_rate_schedule.warmup_steps"},
        BadJob{"NegativeCheckpointSteps",
               [](Job& job) { job.mutable_checkpoint()->set_every_steps(-1); },
               "checkpoint.every_steps must be at least 0, got -1"},
        BadJob{"CheckpointSecondsNotANumber",
               [](Job& job) {
                 job.mutable_checkpoint()->set_every_seconds(std::nan(""));
               },
               "checkpoint.every_seconds must be at least 0, got nan"},
        BadJob{
            "NegativeCheckpointSeconds",
            [](Job& job) { job.mutable_checkpoint()->set_every_seconds(-0.5); },
            "checkpoint.every_seconds must be at least 0, got -0.5"},
        BadJob{"KeepingNoCheckpoint",
               [](Job& job) { job.mutable_checkpoint()->set_keep_last(0); },
               "checkpoint.keep_last must be at least 1, got 0"},
        BadJob{"NegativeKeepEvery",
               [](Job& job) {
                 job.mutable_checkpoint()->set_keep_last(1);
                 job.mutable_checkpoint()->set_keep_every(-2);
               },
               "checkpoint.keep_every must be at least 0, got -2"},
        BadJob{"NegativeKeepBest",
               [](Job& job) {
                 job.mutable_checkpoint()->set_keep_last(1);
                 job.mutable_checkpoint()->set_keep_best(-1);
               },
               "checkpoint.keep_best must be at least 0, got -1"},
        BadJob{"UnknownResume",
               [](Job& job) { job.mutable_start()->set_resume("requires"); },
               "start.resume: \"requires\" is none of never, auto, require; "
               "did you mean \"require\"?"},
        BadJob{"ResumeAndFrom",
               [](Job& job) {
                 job.mutable_start()->set_resume("auto");
                 job.mutable_start()->set_from("base@5");
               },
               "start.from is base@5 and start.resume is auto"},
        BadJob{"StepsOfNoSize",
               [](Job& job) {
                 job.mutable_learning_rate_schedule()->set_kind("step");
               },
               "learning_rate_schedule.step_size must be at least 1"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace penstock
