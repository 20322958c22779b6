// Steps, logs, digests and look-ups.
#include <cmath>

#include "base/sha256.h"
#include "coordinator/core/cluster_fixture.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/job_lookup.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/progress.h"
#include "coordinator/core/weights_digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

StepReport Report(int64_t step_nanos, int64_t busy_nanos) {
  StepReport report;
  report.set_step(3);
  report.set_step_nanos(step_nanos);
  report.set_busy_nanos(busy_nanos);
  return report;
}

TEST(AssembleStepTest, BubbleIsTheMeanOfTheRanksIdleShares) {
  std::vector<StepReport> reports = {Report(2'000'000'000, 1'000'000'000),
                                     Report(1'000'000'000, 1'000'000'000)};
  reports[1].set_loss(0.5);
  reports[1].set_tokens(64);
  reports[0].set_gradient_norm(7);
  const ProgressRecord record = AssembleStep(reports, absl::UnixEpoch());
  EXPECT_EQ(record.step(), 3);
  EXPECT_THAT(record.step_seconds(), DoubleEq(2));
  EXPECT_THAT(record.bubble_fraction(), DoubleEq(0.25));
  EXPECT_THAT(record.tokens_per_second(), DoubleEq(32));
  EXPECT_THAT(record.loss(), DoubleEq(0.5));
  EXPECT_THAT(record.gradient_norm(), DoubleEq(7));
}

TEST(AssembleStepTest, StepWithoutTimeHasNoRates) {
  const ProgressRecord record = AssembleStep({Report(0, 0)}, absl::UnixEpoch());
  EXPECT_EQ(record.tokens_per_second(), 0);
  EXPECT_EQ(record.bubble_fraction(), 0);
}

class StepReportsTest : public ::testing::Test {
 protected:
  StepReportsTest() {
    cluster_.Join("s1");
    cluster_.Join("s2");
    cluster_.Submit("a", 2).IgnoreError();
    cluster_.Run("a");
  }

  Cluster cluster_;
};

TEST_F(StepReportsTest, StepIsKeptWhenAllRanksHaveReportedIt) {
  ASSERT_TRUE(cluster_.ReportStep("s1", "a", 1).ok());
  EXPECT_THAT(cluster_.effects.batch.steps, IsEmpty());
  EXPECT_EQ(AckOf(cluster_.state, "s1")->ack().step(), 0);
  ASSERT_TRUE(cluster_.ReportStep("s2", "a", 1).ok());
  ASSERT_THAT(cluster_.effects.batch.steps, SizeIs(1));
  EXPECT_EQ(cluster_.job("a").latest().step(), 1);
  EXPECT_THAT(cluster_.effects.acks, UnorderedElementsAre("s1", "s2"));
  EXPECT_EQ(AckOf(cluster_.state, "s1")->ack().step(), 1);
}

TEST_F(StepReportsTest, WhatRanksUsedIsShownAndOutlivesTheCoordinator) {
  StageMessage message;
  message.mutable_steps()->set_job_id("a");
  message.mutable_steps()->mutable_use()->mutable_memory()->set_peak_bytes(7);
  const std::string second = cluster_.ServersOf("a")[1];
  ASSERT_TRUE(cluster_.Say(second, message).ok());
  const auto described = [&] {
    return DescribeJob(cluster_.state, cluster_.state.jobs.at("a"), false);
  };
  EXPECT_FALSE(described().ranks(0).has_use());
  EXPECT_EQ(described().ranks(1).use().memory().peak_bytes(), 7);
  cluster_.Finish("a");
  cluster_.RestartCoordinator();
  ASSERT_EQ(described().ranks_size(), 2);
  EXPECT_EQ(described().ranks(1).use().memory().peak_bytes(), 7);
}

TEST_F(StepReportsTest, RepeatIsIgnoredAndAcknowledgedAgain) {
  ASSERT_TRUE(cluster_.ReportStep("s1", "a", 1).ok());
  ASSERT_TRUE(cluster_.ReportStep("s2", "a", 1).ok());
  ASSERT_TRUE(cluster_.ReportStep("s2", "a", 1).ok());
  EXPECT_THAT(cluster_.effects.batch.steps, IsEmpty());
  EXPECT_THAT(cluster_.effects.acks, UnorderedElementsAre("s2"));
}

TEST_F(StepReportsTest, StepsComeInOrderWhateverTheRanksDo) {
  ASSERT_TRUE(cluster_.ReportStep("s1", "a", 1).ok());
  ASSERT_TRUE(cluster_.ReportStep("s1", "a", 2).ok());
  ASSERT_TRUE(cluster_.ReportStep("s2", "a", 2).ok());
  EXPECT_THAT(cluster_.effects.batch.steps, IsEmpty());
  ASSERT_TRUE(cluster_.ReportStep("s2", "a", 1).ok());
  ASSERT_THAT(cluster_.effects.batch.steps, SizeIs(2));
  EXPECT_EQ(cluster_.effects.batch.steps[0].row.record().step(), 1);
  EXPECT_EQ(cluster_.effects.batch.steps[1].row.record().step(), 2);
}

TEST_F(StepReportsTest, MeansLeaveTheFirstStepOut) {
  for (const int64_t step : {1, 2}) {
    cluster_.ReportStep("s1", "a", step).IgnoreError();
    cluster_.ReportStep("s2", "a", step).IgnoreError();
    EXPECT_EQ(cluster_.state.jobs.at("a").totals.steps(), step - 1);
  }
  EXPECT_THAT(cluster_.job("a").mean_tokens_per_second(), DoubleEq(100));
  EXPECT_THAT(cluster_.job("a").mean_bubble_fraction(), DoubleEq(0.25));
}

TEST(AssembleStepTest, AStepThatOneRankSkippedIsSkipped) {
  std::vector<StepReport> reports = {Report(1000, 500), Report(1000, 500)};
  reports[0].set_skipped(true);
  reports[1].set_loss_scale(1024);
  const ProgressRecord record = AssembleStep(reports, absl::UnixEpoch());
  EXPECT_TRUE(record.skipped());
  EXPECT_EQ(record.loss_scale(), 1024);
}

TEST(TakeReportsTest, TheStepOfTheLeastHeldOutLossIsTheBest) {
  JobRecord job;
  job.ranks.resize(1);
  const auto report = [&](int64_t step, double loss) {
    StepReports reports;
    StepReport* const one = reports.add_reports();
    one->set_step(step);
    one->set_evaluation_loss(loss);
    TakeReports(job, 0, reports, absl::UnixEpoch());
    EXPECT_EQ(job.info.latest().step(), step);
  };
  report(1, std::nan(""));
  EXPECT_FALSE(job.info.has_best_step());
  report(2, 3.5);
  report(3, 2.5);
  report(4, 2.5);
  report(5, 2.75);
  EXPECT_EQ(job.info.best_step(), 3);
  EXPECT_EQ(job.info.best_evaluation_loss(), 2.5);
  EXPECT_EQ(job.info.latest().evaluation_loss(), 2.75);
}

TEST_F(StepReportsTest, NothingCountsAfterTheEnd) {
  ASSERT_TRUE(cluster_.Cancel("a").ok());
  ASSERT_TRUE(cluster_.ReportStep("s1", "a", 1).ok());
  ASSERT_TRUE(cluster_.ReportStep("s2", "a", 1).ok());
  EXPECT_THAT(cluster_.effects.batch.steps, IsEmpty());
}

TEST_F(StepReportsTest, UnacknowledgedReportsAreTakenAfterARestart) {
  ASSERT_TRUE(cluster_.ReportStep("s1", "a", 1).ok());
  cluster_.RestartCoordinator();
  for (const char* id : {"s1", "s2"}) {
    ASSERT_TRUE(cluster_.Register(id, 1, "a", 1).ok());
    ASSERT_TRUE(cluster_.Open(id).ok());
    ASSERT_TRUE(cluster_.ReportStep(id, "a", 1).ok());
  }
  EXPECT_EQ(cluster_.job("a").latest().step(), 1);
}

StageMessage Logs(std::vector<int64_t> sequences) {
  StageMessage message;
  message.mutable_logs()->set_job_id("a");
  for (const int64_t sequence : sequences) {
    LogEntry* entry = message.mutable_logs()->add_entries();
    entry->set_sequence(sequence);
    entry->set_text("line");
  }
  return message;
}

TEST_F(StepReportsTest, LogLinesAreNumberedOverAllRanksOnce) {
  ASSERT_TRUE(cluster_.Say("s2", Logs({1, 2})).ok());
  ASSERT_THAT(cluster_.effects.batch.logs, SizeIs(2));
  EXPECT_THAT(cluster_.effects.batch.logs[0].line.stages(), ElementsAre(1));
  ASSERT_TRUE(cluster_.Say("s1", Logs({1})).ok());
  EXPECT_EQ(cluster_.effects.batch.logs[0].line.sequence(), 3);
  ASSERT_TRUE(cluster_.Say("s2", Logs({2, 3})).ok());
  ASSERT_THAT(cluster_.effects.batch.logs, SizeIs(1));
  EXPECT_EQ(cluster_.effects.batch.logs[0].entry_sequence, 3);
  EXPECT_EQ(AckOf(cluster_.state, "s2")->ack().log_sequence(), 3);
}

TEST_F(StepReportsTest, LastWordsOfAFailedJobAreKept) {
  cluster_.Report("s1", "a", StageStatus::FAULTED, "boom").IgnoreError();
  ASSERT_TRUE(cluster_.Say("s1", Logs({1})).ok());
  EXPECT_THAT(cluster_.effects.batch.logs, SizeIs(1));
}

LayerDigest Digest(int layer, const std::string& sha256) {
  LayerDigest digest;
  digest.set_layer(layer);
  digest.set_sha256(sha256);
  return digest;
}

TEST(WeightsDigestTest, DoesNotDependOnTheOrderOfReports) {
  const std::string a = Sha256Of("a");
  const std::string b = Sha256Of("b");
  const auto one = WeightsDigest({Digest(0, a), Digest(5, b)}, {0, 5});
  const auto two = WeightsDigest({Digest(5, b), Digest(0, a)}, {0, 5});
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(*one, Sha256HexOf(a + b));
  EXPECT_EQ(*two, *one);
}

TEST(WeightsDigestTest, LayersWithoutParametersAreLeftOut) {
  const std::string a = Sha256Of("a");
  EXPECT_EQ(WeightsDigest({Digest(0, a), Digest(1, Sha256Of(""))}, {0}).value(),
            Sha256HexOf(a));
}

TEST(WeightsDigestTest, MissingDoubledAndTornOnesAreNamed) {
  const std::string a = Sha256Of("a");
  EXPECT_THAT(std::string(WeightsDigest({}, {4}).status().message()),
              HasSubstr("layer 4"));
  EXPECT_FALSE(WeightsDigest({Digest(0, a), Digest(0, a)}, {0}).ok());
  EXPECT_FALSE(WeightsDigest({Digest(0, "short")}, {0}).ok());
}

TEST(FindJobTest, TakesIdsNamesAndPrefixes) {
  Cluster cluster;
  const auto submit = [&cluster](const std::string& id,
                                 const std::string& name) {
    cluster
        .Apply(JobSubmitted{Fence(), "key-" + id, id, PlanOfRanks(name, 1), {}})
        .IgnoreError();
  };
  submit("abc1", "train");
  submit("abd2", "train");
  submit("xyz3", "other");
  EXPECT_EQ(FindJob(cluster.state, "abc1").value_or("?"), "abc1");
  EXPECT_EQ(FindJob(cluster.state, "train").value_or("?"), "abd2");
  EXPECT_EQ(FindJob(cluster.state, "x").value_or("?"), "xyz3");
  EXPECT_EQ(FindJob(cluster.state, "abc").value_or("?"), "abc1");
  EXPECT_TRUE(absl::IsInvalidArgument(FindJob(cluster.state, "ab").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(FindJob(cluster.state, "").status()));
  const absl::Status missing = FindJob(cluster.state, "trains").status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_THAT(std::string(missing.message()),
              HasSubstr("did you mean \"train\"?"));
}

TEST(PlacementTest, ServersOfOneHostAreNeighbours) {
  Cluster cluster;
  for (const auto& [id, host] :
       {std::pair("s1", "h2"), std::pair("s2", "h1"), std::pair("s3", "h2"),
        std::pair("s4", "h1")}) {
    cluster.Join(id);
    cluster.state.servers.at(id).host_identity = host;
  }
  ASSERT_TRUE(cluster.Submit("a", 4).ok());
  EXPECT_THAT(cluster.ServersOf("a"), ElementsAre("s2", "s4", "s1", "s3"));
}

TEST(PlacementTest, SaysWhatAnotherJobWouldWaitFor) {
  Cluster cluster;
  cluster.Join("s1");
  EXPECT_EQ(WouldWaitFor(cluster.state, *PlanOfRanks("next", 1)), "");
  EXPECT_EQ(WouldWaitFor(cluster.state, *PlanOfRanks("next", 2)),
            "needs 2 stage servers, 1 idle of 1 registered; start 1 more");
  cluster.Break("s1");
  EXPECT_EQ(WouldWaitFor(cluster.state, *PlanOfRanks("next", 1)),
            "needs 1 stage server, 0 idle of 1 registered; 1 silent");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  EXPECT_THAT(WouldWaitFor(cluster.state, *PlanOfRanks("next", 1)),
              HasSubstr("waits behind a"));
}

}  // namespace
}  // namespace penstock
