#include "client/render/version_view.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// WPipe on two ranks: stages 0 and 1 keep two versions, 2 and 3 one.
Plan Grouped() {
  Plan plan;
  plan.mutable_job()->set_dtype("float32");
  plan.mutable_job()->mutable_weights()->set_policy("grouped");
  wire::Schedule& schedule = *plan.mutable_schedule();
  schedule.set_policy(wire::WEIGHT_POLICY_GROUPED);
  for (int stage = 0; stage < 4; ++stage) {
    schedule.add_placement()->add_ranks(stage % 2);
    wire::VersionRule& rule = *schedule.add_versions();
    rule.set_microbatches_per_update(4);
    rule.set_delay(stage < 2 ? 1 : 0);
    plan.add_stages()->set_parameter_count(1024);
  }
  return plan;
}

TEST(VersionViewTest, ATableShowsEachRanksStages) {
  EXPECT_EQ(VersionTable(Grouped()),
            "RANK  STAGE  VERSIONS  LATE BY    BYTES\n"
            "0     0      2         1 update   8.00 KiB\n"
            "0     2      1         0 updates  4.00 KiB\n"
            "1     1      2         1 update   8.00 KiB\n"
            "1     3      1         0 updates  4.00 KiB\n");
}

TEST(VersionViewTest, ALineTellsHowLateEachStageIs) {
  EXPECT_EQ(LatenessText(Grouped()),
            "grouped; stages late by 1, 1, 0, 0 updates");
  Plan flush = Grouped();
  flush.mutable_schedule()->set_policy(wire::WEIGHT_POLICY_FLUSH);
  EXPECT_EQ(LatenessText(flush), "");
}

TEST(VersionViewTest, NarrowWeightsTakeHalf) {
  Plan plan = Grouped();
  plan.mutable_job()->set_dtype("bfloat16");
  EXPECT_THAT(VersionTable(plan), HasSubstr("1 update   4.00 KiB"));
}

TEST(VersionViewTest, AFlushHasNoTableAndOneVersion) {
  Plan plan = Grouped();
  plan.mutable_schedule()->set_policy(wire::WEIGHT_POLICY_FLUSH);
  plan.mutable_schedule()->clear_versions();
  EXPECT_EQ(VersionTable(plan), "");
  const auto json = VersionsToJson(plan);
  ASSERT_EQ(json.size(), 4u);
  EXPECT_EQ(json[3].dump(), R"({"rank":1,"stage":3,"versions":1,"staleness":0,)"
                            R"("learning_rate_factor":1.0,"bytes":4096})");
}

TEST(VersionViewTest, JsonHasTheSameRows) {
  const auto json = VersionsToJson(Grouped());
  ASSERT_EQ(json.size(), 4u);
  EXPECT_EQ(json[0].dump(), R"({"rank":0,"stage":0,"versions":2,"staleness":1,)"
                            R"("learning_rate_factor":1.0,"bytes":8192})");
}

TEST(VersionViewTest, RatesAreShownWhereStagesUpdateAtDifferentIntervals) {
  Plan plan = Grouped();
  plan.mutable_schedule()->mutable_versions(0)->set_microbatches_per_update(8);
  const std::string table = VersionTable(plan);
  EXPECT_THAT(table, HasSubstr("BYTES     LEARNING RATE\n"));
  EXPECT_THAT(table, HasSubstr("8.00 KiB  times 1\n"));
  EXPECT_THAT(table, HasSubstr("4.00 KiB  times 0.5\n"));
}

TEST(VersionViewTest, ThePolicySaysHowItClips) {
  Job job = Grouped().job();
  EXPECT_EQ(WeightPolicyText(job), "grouped");
  job.mutable_optimizer()->set_clip_norm(1);
  EXPECT_EQ(WeightPolicyText(job), "grouped, clipped per stage");
  job.mutable_weights()->set_policy("flush");
  EXPECT_EQ(WeightPolicyText(job), "");
}

}  // namespace
}  // namespace penstock
