#include "client/render/restart_view.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

JobInfo RestartedOnce() {
  JobInfo info;
  info.set_restart_count(1);
  RestartReport& report = *info.add_restarts();
  report.set_epoch(1);
  report.set_cause(RESTART_CAUSE_INFRA);
  report.set_evidence("stage 1 on node-b: the stage server restarted");
  report.set_server_name("node-b");
  report.set_began_unix_nanos(1'700'000'000'000'000'000);
  report.set_at_step(43);
  report.set_from_step(40);
  report.set_steps_lost(3);
  report.mutable_start()->mutable_checkpoint()->set_step(40);
  report.mutable_phases()->set_detect(250);
  report.mutable_phases()->set_decide(12);
  return info;
}

TEST(RestartViewTest, JobWithoutARestartSaysNothing) {
  EXPECT_EQ(RestartsText(JobInfo()), "");
  EXPECT_EQ(RestartTable(JobInfo(), absl::UTCTimeZone()), "");
  EXPECT_EQ(RestartsToJson(JobInfo())["count"], 0);
}

TEST(RestartViewTest, ALineTellsHowOftenAndWhyTheLastTime) {
  EXPECT_EQ(RestartsText(RestartedOnce()),
            "1, after step 43: stage 1 on node-b: the stage server restarted");
}

TEST(RestartViewTest, ATableShowsWhatWasLostAndThePhasesSoFar) {
  const std::string table = RestartTable(RestartedOnce(), absl::UTCTimeZone());
  EXPECT_THAT(table, HasSubstr("infra"));
  EXPECT_THAT(table, HasSubstr("step 40"));
  EXPECT_THAT(table, HasSubstr("250 ms"));
  EXPECT_THAT(table, HasSubstr("epoch 1 ended: stage 1 on node-b"));
}

TEST(RestartViewTest, MemoryAndTheBeginningAreNamedAsStarts) {
  JobInfo info = RestartedOnce();
  info.mutable_restarts(0)->mutable_start()->set_in_memory(true);
  EXPECT_EQ(RestartsToJson(info)["newest"][0]["from"], "step 40, memory");
  info.mutable_restarts(0)->clear_start();
  EXPECT_EQ(RestartsToJson(info)["newest"][0]["from"], "the beginning");
}

TEST(RestartViewTest, PhasesThatHaveNotComeAreNull) {
  const nlohmann::ordered_json json = RestartsToJson(RestartedOnce());
  EXPECT_EQ(json["newest"][0]["phases"]["decide_ms"], 12);
  EXPECT_TRUE(json["newest"][0]["phases"]["recompute_ms"].is_null());
}

}  // namespace
}  // namespace penstock
