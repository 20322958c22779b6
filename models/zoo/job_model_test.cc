#include "models/zoo/job_model.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(JobModelTest, TheRequestIsWhatTheJobSays) {
  Job job;
  job.mutable_model()->set_preset("gpt-nano");
  (*job.mutable_model()->mutable_overrides())["layers"] = "3";
  job.mutable_data()->set_kind("tokens");
  job.mutable_data()->set_sequence_length(16);
  job.mutable_schedule()->set_microbatches(4);
  job.set_batch_size(12);
  const ModelRequest request = RequestOf(job);
  EXPECT_EQ(request.preset, "gpt-nano");
  EXPECT_EQ(request.overrides.at("layers"), "3");
  EXPECT_EQ(request.data_kind, "tokens");
  EXPECT_EQ(request.sequence_length, 16);
  EXPECT_EQ(request.microbatch_size, 3);
  EXPECT_TRUE(MakeModel(request).ok());
}

TEST(JobModelTest, WithoutMicrobatchesItIsTheBatch) {
  Job job;
  job.set_batch_size(12);
  EXPECT_EQ(RequestOf(job).microbatch_size, 12);
}

}  // namespace
}  // namespace penstock
