#include "client/render/job_view.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kSecond = 1'000'000'000;

JobInfo Queued() {
  JobInfo info;
  info.set_id("j-1");
  info.set_state(JOB_STATE_QUEUED);
  info.set_reason("waits for 2 stage servers, 1 is idle");
  info.set_submitted_unix_nanos(1'700'000'000 * kSecond);
  Job& job = *info.mutable_job();
  job.set_name("gpt-nano");
  job.mutable_model()->set_preset("gpt-nano");
  (*job.mutable_model()->mutable_overrides())["layers"] = "6";
  job.set_steps(200);
  job.set_batch_size(32);
  job.mutable_data()->set_tokens("/data/t.bin");
  job.mutable_data()->set_sequence_length(64);
  job.mutable_schedule()->set_name("gpipe");
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_partition()->set_stages(2);
  return info;
}

JobInfo Succeeded() {
  JobInfo info = Queued();
  info.set_state(JOB_STATE_SUCCEEDED);
  info.set_reason("all steps made");
  info.set_started_unix_nanos(1'700'000'001 * kSecond);
  info.set_ended_unix_nanos(1'700'000'035 * kSecond);
  info.set_epoch(1);
  info.set_weights_digest("12ab");
  ProgressRecord& latest = *info.mutable_latest();
  latest.set_step(200);
  latest.set_loss(2.4139);
  latest.set_tokens_per_second(10'000);
  latest.set_bubble_fraction(0.5);
  info.set_mean_tokens_per_second(12'345);
  info.set_mean_bubble_fraction(0.213);
  return info;
}

TEST(JobViewTest, DescriptionSaysHowManyRanksRunTheStages) {
  JobInfo info = Queued();
  Job& job = *info.mutable_job();
  job.mutable_partition()->set_ranks(2);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("gpipe on 2 stages\n"));
  job.mutable_schedule()->set_name("zbv");
  job.mutable_partition()->set_ranks(1);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("zbv on 2 stages of 1 rank\n"));
}

TEST(JobViewTest, DescriptionSaysHowManyReplicasThereAre) {
  JobInfo info = Queued();
  info.mutable_job()->mutable_partition()->add_replicas(1);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("gpipe on 2 stages\n"));
  info.mutable_job()->mutable_partition()->add_replicas(3);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("gpipe on 2 stages, 1,3 replicas\n"));
}

TEST(JobViewTest, AContinuousJobSaysItsPolicyAndHasNoNormOfAllRanks) {
  JobInfo info = Succeeded();
  info.mutable_latest()->set_gradient_norm(7);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("gradient norm"));
  EXPECT_EQ(JobInfoToJson(info)["gradient_norm"], 7);
  info.mutable_job()->mutable_weights()->set_policy("stash");
  info.mutable_job()->mutable_optimizer()->set_clip_norm(1);
  const std::string text = DescribeJob(info, absl::UTCTimeZone());
  EXPECT_THAT(text, ContainsRegex("versions +stash, clipped per stage"));
  EXPECT_THAT(text, Not(HasSubstr("gradient norm")));
  EXPECT_TRUE(JobInfoToJson(info)["gradient_norm"].is_null());
}

TEST(JobViewTest, APlanThatDoesNotFlushShowsItsVersions) {
  Plan plan;
  plan.mutable_job()->set_dtype("float32");
  plan.add_stages()->set_parameter_count(256);
  plan.mutable_schedule()->set_policy(wire::WEIGHT_POLICY_STASH);
  plan.mutable_schedule()->add_placement()->add_ranks(0);
  EXPECT_THAT(DescribePlan(plan), HasSubstr("LATE BY"));
  EXPECT_EQ(PlanToJson(plan)["weight_versions"][0]["bytes"], 1024);
  plan.mutable_schedule()->set_policy(wire::WEIGHT_POLICY_FLUSH);
  EXPECT_THAT(DescribePlan(plan), Not(HasSubstr("LATE BY")));
}

TEST(JobViewTest, DescriptionTellsWhichLengthsStepsHave) {
  JobInfo info = Queued();
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("32 samples of 64 tokens, 4 microbatches\n"));
  DataSpec& data = *info.mutable_job()->mutable_data();
  for (const int length : {64, 16, 64, 32}) data.add_sequence_lengths(length);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("32 samples of 16, 32 or 64 tokens, 4"));
  EXPECT_EQ(JobInfoToJson(info)["job"]["data"]["sequence_lengths"],
            (std::vector<int>{64, 16, 64, 32}));
  for (const int length : {40, 41, 42, 43}) data.add_sequence_lengths(length);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("of one of 7 lengths from 16 to 64 tokens, 4"));
}

TEST(JobViewTest, PlanTellsWhichRanksHoldAStage) {
  Plan plan;
  plan.add_stages()->add_layers("embed");
  plan.add_stages()->add_layers("head");
  plan.mutable_schedule()->add_placement()->add_ranks(0);
  for (const int rank : {1, 2}) {
    if (rank == 1) plan.mutable_schedule()->add_placement();
    plan.mutable_schedule()->mutable_placement(1)->add_ranks(rank);
  }
  EXPECT_THAT(DescribePlan(plan), HasSubstr("1      1,2    0           head"));
  EXPECT_EQ(PlanToJson(plan)["stages"][1]["ranks"], (std::vector<int>{1, 2}));
}

TEST(JobViewTest, SkippedStepsAndTheirScaleAreOfFloat16Alone) {
  JobInfo info = Succeeded();
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              Not(HasSubstr("loss scale")));
  EXPECT_TRUE(JobInfoToJson(info)["loss_scale"].is_null());
  info.mutable_latest()->set_loss_scale(1024);
  info.set_skipped_steps(2);
  for (const std::string& text :
       {DescribeJob(info, absl::UTCTimeZone()), JobSummary(info)}) {
    EXPECT_THAT(text, HasSubstr("loss scale"));
    EXPECT_THAT(text, HasSubstr("1024"));
    EXPECT_THAT(text, HasSubstr("2 steps, their gradients were not finite"));
  }
  EXPECT_EQ(JobInfoToJson(info)["skipped_steps"], 2);
}

TEST(JobViewTest, TheBestStepIsOfJobsThatAreEvaluated) {
  JobInfo info = Succeeded();
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              Not(HasSubstr("held out")));
  EXPECT_TRUE(JobInfoToJson(info)["best_step"].is_null());
  EXPECT_TRUE(JobInfoToJson(info)["best_evaluation_loss"].is_null());
  info.set_best_step(30);
  info.set_best_evaluation_loss(1.25);
  for (const std::string& text :
       {DescribeJob(info, absl::UTCTimeZone()), JobSummary(info)}) {
    EXPECT_THAT(text, HasSubstr("held out"));
    EXPECT_THAT(text, HasSubstr("least loss 1.250 after step 30"));
  }
  EXPECT_EQ(JobInfoToJson(info)["best_step"], 30);
  EXPECT_EQ(JobInfoToJson(info)["best_evaluation_loss"], 1.25);
}

TEST(JobViewTest, DescriptionNamesWhatASplitBackwardDoesNotSplit) {
  JobInfo info = Queued();
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              Not(HasSubstr("unsplit kinds")));
  info.mutable_job()->mutable_model()->set_preset("cnn");
  info.mutable_job()->mutable_model()->clear_overrides();
  info.mutable_job()->mutable_data()->set_sequence_length(1);
  info.mutable_job()->mutable_data()->set_kind("images");
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              ContainsRegex("unsplit kinds +batch_norm .[0-9]+ layers."));
}

TEST(JobViewTest, JsonOfAFinishedJobCarriesTheSixPromisedKeys) {
  const nlohmann::ordered_json json = JobInfoToJson(Succeeded());
  EXPECT_EQ(json.at("state"), "SUCCEEDED");
  EXPECT_EQ(json.at("step"), 200);
  EXPECT_EQ(json.at("loss"), 2.4139);
  EXPECT_EQ(json.at("tokens_per_second"), 12'345);
  EXPECT_EQ(json.at("bubble_fraction"), 0.213);
  EXPECT_EQ(json.at("weights_digest"), "12ab");
  EXPECT_EQ(json.at("started"), "2023-11-14T22:13:21.000Z");
  EXPECT_EQ(json.at("job").at("model").at("overrides").at("layers"), "6");
}

TEST(JobViewTest, JsonOfAJobWithoutStepsHasNulls) {
  const nlohmann::ordered_json json = JobInfoToJson(Queued());
  EXPECT_EQ(json.at("state"), "QUEUED");
  EXPECT_EQ(json.at("step"), 0);
  for (const char* key : {"loss", "tokens_per_second", "bubble_fraction",
                          "weights_digest", "started", "ended"}) {
    EXPECT_TRUE(json.at(key).is_null()) << key;
  }
}

TEST(JobViewTest, NotFiniteLossIsNull) {
  JobInfo info = Succeeded();
  info.mutable_latest()->set_loss(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(JobInfoToJson(info).at("loss").is_null());
}

TEST(JobViewTest, JsonKeysAreTheSameInEveryState) {
  const nlohmann::ordered_json first = JobInfoToJson(Queued());
  const nlohmann::ordered_json last = JobInfoToJson(Succeeded());
  ASSERT_EQ(first.size(), last.size());
  for (const auto& [key, value] : first.items()) {
    EXPECT_TRUE(last.contains(key)) << key;
  }
}

TEST(JobViewTest, TableSaysWhyAJobWaits) {
  EXPECT_EQ(
      JobTable({Queued(), Succeeded()}, absl::FromUnixSeconds(1'700'000'060),
               /*wide=*/false),
      "ID   NAME      STATE      STEP     LOSS   TOK/S  AGE  REASON\n"
      "j-1  gpt-nano  QUEUED     0/200    -      -      60s  waits for 2 stage "
      "servers, 1 is idle\n"
      "j-1  gpt-nano  SUCCEEDED  200/200  2.414  12.3k  60s  all steps "
      "made\n");
  EXPECT_THAT(JobTable({Queued()}, absl::UnixEpoch(), /*wide=*/true),
              HasSubstr("SCHEDULE  STAGES"));
}

TEST(JobViewTest, SummaryIsShort) {
  EXPECT_EQ(JobSummary(Succeeded()),
            "gpt-nano (j-1): succeeded\n"
            "  step        200 of 200\n"
            "  loss        2.414\n"
            "  throughput  12.3k tokens/s\n"
            "  bubble      21.3 %\n"
            "  time        34.0 s\n"
            "  weights     sha256 12ab\n");
}

TEST(JobViewTest, SummaryTellsHowLateGradientsWere) {
  JobInfo info = Succeeded();
  Plan& plan = *info.mutable_plan();
  plan.mutable_job()->mutable_weights()->set_policy("stash");
  plan.mutable_schedule()->set_policy(wire::WEIGHT_POLICY_STASH);
  for (const int delay : {1, 0}) {
    plan.mutable_schedule()->add_versions()->set_delay(delay);
  }
  EXPECT_THAT(JobSummary(info),
              HasSubstr("versions    stash; stages late by 1, 0 updates\n"));
}

TEST(JobViewTest, SummaryOfAFailureSaysWhy) {
  JobInfo info = Queued();
  info.set_state(JOB_STATE_FAILED);
  info.set_reason("loss is NaN at step 12 in stage 1");
  EXPECT_THAT(JobSummary(info),
              HasSubstr("reason      loss is NaN at step 12 in stage 1\n"));
}

TEST(JobViewTest, SummaryTellsOfRestarts) {
  JobInfo info = Succeeded();
  info.set_restart_count(2);
  RestartReport& report = *info.add_restarts();
  report.set_at_step(17);
  report.set_evidence("stage 1 on node-b: the stage server restarted");
  EXPECT_THAT(JobSummary(info),
              HasSubstr("restarts    2, the last after step 17: stage 1 on "
                        "node-b: the stage server restarted\n"));
  EXPECT_EQ(JobInfoToJson(info).at("restarts").at("count"), 2);
}

TEST(JobViewTest, DescribeTellsWhatIsInMemoryAndWhatItCosts) {
  JobInfo info = Succeeded();
  EXPECT_TRUE(JobInfoToJson(info).at("in_memory").is_null());
  MemoryProgress& memory = *info.mutable_memory();
  memory.set_every_steps(1);
  memory.set_newest_step(40);
  memory.set_copies(2);
  memory.set_blocked_nanos(2'000'000);
  memory.set_replicate_nanos(31'000'000);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              HasSubstr("step 40, 2 copies of each part, each step, training "
                        "stood still for 2 ms, with the peer after 31 ms"));
  EXPECT_EQ(JobInfoToJson(info).at("in_memory").at("copies"), 2);
}

TEST(JobViewTest, DescribeShowsRanksAndPlan) {
  JobInfo info = Succeeded();
  RankInfo& rank = *info.add_ranks();
  rank.set_server_name("host-a");
  rank.set_state(SERVER_STATE_RUNNING);
  StagePlan& stage = *info.mutable_plan()->add_stages();
  stage.add_layers("embed");
  stage.add_layers("h0");
  stage.set_parameter_count(1'234'567);
  const std::string text = DescribeJob(info, absl::UTCTimeZone());
  EXPECT_THAT(text, HasSubstr("gpt-nano (j-1): SUCCEEDED\n"));
  EXPECT_THAT(text, HasSubstr("0     host-a  RUNNING"));
  EXPECT_THAT(text, HasSubstr("0      -      1,234,567   embed h0"));
  EXPECT_THAT(text, HasSubstr("weights        12ab"));
  EXPECT_EQ(JobInfoToJson(info).at("plan").at("stages")[0].at("layers")[1],
            "h0");
}

TEST(JobViewTest, ServersShowTheirJob) {
  ServerInfo server;
  server.set_id("s-1");
  server.set_name("host-a");
  server.set_state(SERVER_STATE_RUNNING);
  server.set_device("cpu");
  server.set_job_id("j-1");
  server.set_last_heard_unix_nanos(100 * kSecond);
  EXPECT_EQ(ServerTable({server}, absl::FromUnixSeconds(101), false),
            "ID   NAME    STATE    DEVICE  JOB  RANK  HEARD\n"
            "s-1  host-a  RUNNING  cpu     j-1  0     1s\n");
  EXPECT_EQ(ServerToJson(server).at("rank"), 0);
  EXPECT_TRUE(ServerToJson(server).at("memory").is_null());
  server.set_memory_bytes(int64_t{8} << 30);
  EXPECT_EQ(ServerToJson(server).at("memory"), int64_t{8} << 30);
  EXPECT_THAT(ServerTable({server}, absl::FromUnixSeconds(101), true),
              HasSubstr("8.00 GiB"));
  server.clear_job_id();
  EXPECT_TRUE(ServerToJson(server).at("rank").is_null());
}

TEST(JobViewTest, ServersShowWhatOperatorsWantOfThem) {
  ServerInfo server;
  server.set_state(SERVER_STATE_RUNNING);
  EXPECT_EQ(StateText(server), "RUNNING");
  EXPECT_TRUE(ServerToJson(server).at("duty").is_null());
  server.set_duty(SERVER_DUTY_DRAINING);
  server.set_duty_reason("new disks");
  server.set_drain_deadline_unix_nanos(60 * kSecond);
  EXPECT_EQ(StateText(server), "RUNNING,DRAINING");
  const nlohmann::ordered_json json = ServerToJson(server);
  EXPECT_EQ(json.at("state"), "RUNNING");
  EXPECT_EQ(json.at("duty"), "DRAINING");
  EXPECT_EQ(json.at("duty_reason"), "new disks");
  EXPECT_THAT(json.at("drain_deadline"), HasSubstr("1970-01-01"));
}

TEST(JobViewTest, PriorityIsShownWhereItIsNotZero) {
  JobInfo info = Queued();
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              Not(HasSubstr("priority")));
  info.mutable_job()->set_priority(-7);
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              ::testing::ContainsRegex("priority +-7\n"));
  EXPECT_THAT(JobTable({info}, absl::UnixEpoch(), /*wide=*/true),
              HasSubstr("-7        "));
}

TEST(JobViewTest, EventsAndLogsAreOneLine) {
  Event event;
  event.set_sequence(7);
  event.set_time_unix_nanos(1'700'000'000 * kSecond);
  event.set_kind("JOB_RUNNING");
  event.set_job_id("j-1");
  event.set_message("all ranks are ready");
  EXPECT_EQ(EventLine(event, absl::UTCTimeZone()),
            "2023-11-14 22:13:20  JOB_RUNNING job j-1: all ranks are ready");
  EXPECT_EQ(EventNote(event), "running: all ranks are ready");
  EXPECT_EQ(EventToJson(event).at("sequence"), 7);
  LogLine line;
  line.set_time_unix_nanos(1'700'000'000 * kSecond);
  line.set_rank(1);
  line.add_stages(1);
  line.set_level("info");
  line.set_text("loaded");
  EXPECT_EQ(LogLineText(line, absl::UTCTimeZone()),
            "2023-11-14 22:13:20 rank 1 [1] info: loaded");
}

TEST(JobViewTest, TerminalStatesAreThree) {
  int terminal = 0;
  for (int state = JobState_MIN; state <= JobState_MAX; ++state) {
    if (IsTerminal(static_cast<JobState>(state))) ++terminal;
  }
  EXPECT_EQ(terminal, 3);
}

TEST(JobViewTest, RanksOfAJobThatHasEndedHaveNoState) {
  JobInfo info;
  info.set_state(JOB_STATE_SUCCEEDED);
  info.add_ranks()->set_server_name("node-a");
  EXPECT_THAT(DescribeJob(info, absl::UTCTimeZone()),
              Not(HasSubstr("UNSPECIFIED")));
  EXPECT_TRUE(JobInfoToJson(info)["ranks"][0]["state"].is_null());
}

}  // namespace
}  // namespace penstock
