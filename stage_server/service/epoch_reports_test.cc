#include "stage_server/service/epoch_reports.h"

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

StepReport Step(int64_t step) {
  StepReport report;
  report.set_step(step);
  return report;
}

Ack Durable(int64_t step, int64_t log = 0, bool finished = false) {
  Ack ack;
  ack.set_step(step);
  ack.set_log_sequence(log);
  ack.set_finished(finished);
  return ack;
}

std::vector<int64_t> StepsIn(const std::vector<StageMessage>& messages) {
  std::vector<int64_t> steps;
  for (const StageMessage& message : messages) {
    for (const StepReport& report : message.steps().reports()) {
      steps.push_back(report.step());
    }
  }
  return steps;
}

std::vector<int64_t> LogsIn(const std::vector<StageMessage>& messages) {
  std::vector<int64_t> sequences;
  for (const StageMessage& message : messages) {
    for (const LogEntry& entry : message.logs().entries()) {
      sequences.push_back(entry.sequence());
    }
  }
  return sequences;
}

TEST(EpochReportsTest, NothingToTellSendsNothing) {
  EpochReports reports;
  EXPECT_FALSE(reports.has_unsent());
  EXPECT_THAT(reports.TakeUnsent("j"), IsEmpty());
}

RankUse Peak(int64_t bytes) {
  RankUse use;
  use.mutable_memory()->set_peak_bytes(bytes);
  return use;
}

TEST(EpochReportsTest, TheNewestUseGoesWithTheNextSteps) {
  EpochReports reports;
  reports.SetUse(Peak(1));
  reports.SetUse(Peak(2));
  EXPECT_FALSE(reports.has_unsent());
  reports.AddStep(Step(1));
  auto messages = reports.TakeUnsent("j");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].steps().use().memory().peak_bytes(), 2);
  reports.AddStep(Step(2));
  messages = reports.TakeUnsent("j");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_FALSE(messages[0].steps().has_use());
  reports.StartSession();
  messages = reports.TakeUnsent("j");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].steps().use().memory().peak_bytes(), 2);
}

TEST(EpochReportsTest, AStepIsSentOnceInASession) {
  EpochReports reports;
  reports.AddStep(Step(1));
  reports.AddStep(Step(2));
  EXPECT_THAT(StepsIn(reports.TakeUnsent("j")), ElementsAre(1, 2));
  EXPECT_FALSE(reports.has_unsent());
  reports.AddStep(Step(3));
  EXPECT_THAT(StepsIn(reports.TakeUnsent("j")), ElementsAre(3));
}

TEST(EpochReportsTest, ANewSessionGetsWhatWasNotAcknowledged) {
  EpochReports reports;
  for (int step = 1; step <= 4; ++step) reports.AddStep(Step(step));
  reports.AddLog(absl::UnixEpoch(), "info", "one");
  reports.AddLog(absl::UnixEpoch(), "info", "two");
  reports.TakeUnsent("j");
  reports.Acknowledge(Durable(2, 1));
  reports.StartSession();
  const std::vector<StageMessage> again = reports.TakeUnsent("j");
  EXPECT_THAT(StepsIn(again), ElementsAre(3, 4));
  EXPECT_THAT(LogsIn(again), ElementsAre(2));
}

StepTrace TraceOf(int64_t step, int actions) {
  StepTrace trace;
  trace.set_step(step);
  for (int i = 0; i < actions; ++i) trace.add_ended(i);
  return trace;
}

std::vector<int64_t> TracesIn(const std::vector<StageMessage>& messages) {
  std::vector<int64_t> steps;
  for (const StageMessage& message : messages) {
    for (const StepTrace& trace : message.steps().traces()) {
      steps.push_back(trace.step());
    }
  }
  return steps;
}

TEST(EpochReportsTest, ATraceGoesWithItsReportUntilThatIsAcknowledged) {
  EpochReports reports;
  reports.AddStep(Step(1), TraceOf(1, 3));
  reports.AddStep(Step(2));
  reports.AddStep(Step(3), TraceOf(3, 3));
  const std::vector<StageMessage> messages = reports.TakeUnsent("j");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(StepsIn(messages), ElementsAre(1, 2, 3));
  EXPECT_THAT(TracesIn(messages), ElementsAre(1, 3));
  EXPECT_THAT(TracesIn(reports.TakeUnsent("j")), IsEmpty());
  reports.Acknowledge(Durable(1));
  reports.StartSession();
  EXPECT_THAT(TracesIn(reports.TakeUnsent("j")), ElementsAre(3));
}

TEST(EpochReportsTest, LongTracesGoInMessagesOfTheirOwn) {
  EpochReports reports;
  const int actions = EpochReports::kTracedActionsPerMessage / 2;
  for (int step = 1; step <= 5; ++step) {
    reports.AddStep(Step(step), TraceOf(step, actions));
  }
  const std::vector<StageMessage> messages = reports.TakeUnsent("j");
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_THAT(TracesIn(messages), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_LT(messages[0].ByteSizeLong(), size_t{2} << 20);
}

TEST(EpochReportsTest, TheOldestTracesGoFirstAndTheirReportsStay) {
  EpochReports reports;
  const int actions = EpochReports::kMaxTracedActions / 2;
  for (int step = 1; step <= 3; ++step) {
    reports.AddStep(Step(step), TraceOf(step, actions));
  }
  const std::vector<StageMessage> messages = reports.TakeUnsent("j");
  EXPECT_THAT(StepsIn(messages), ElementsAre(1, 2, 3));
  EXPECT_THAT(TracesIn(messages), ElementsAre(2, 3));
}

TEST(EpochReportsTest, EverythingAcknowledgedLeavesNothingForANewSession) {
  EpochReports reports;
  reports.AddStep(Step(1));
  reports.SetFinished({});
  reports.TakeUnsent("j");
  reports.Acknowledge(Durable(1, 0, true));
  reports.StartSession();
  EXPECT_FALSE(reports.has_unsent());
  EXPECT_EQ(reports.last_step(), 1);
}

TEST(EpochReportsTest, AnOldAcknowledgementForgetsNothingNew) {
  EpochReports reports;
  for (int step = 1; step <= 3; ++step) reports.AddStep(Step(step));
  reports.Acknowledge(Durable(2));
  reports.Acknowledge(Durable(1));
  EXPECT_THAT(StepsIn(reports.TakeUnsent("j")), ElementsAre(3));
}

TEST(EpochReportsTest, TheEndFollowsEveryStepAndNamesTheLast) {
  EpochReports reports;
  reports.AddStep(Step(1));
  LayerDigest digest;
  digest.set_layer(5);
  reports.SetFinished({digest});
  reports.AddLog(absl::UnixEpoch(), "info", "done");
  const std::vector<StageMessage> messages = reports.TakeUnsent("j");
  ASSERT_EQ(messages.size(), 3u);
  ASSERT_TRUE(messages.back().has_finished());
  EXPECT_EQ(messages.back().finished().job_id(), "j");
  EXPECT_EQ(messages.back().finished().step(), 1);
  EXPECT_EQ(messages.back().finished().layers(0).layer(), 5);
}

TEST(EpochReportsTest, TheEndIsSentAgainUntilItIsAcknowledged) {
  EpochReports reports;
  reports.SetFinished({});
  EXPECT_EQ(reports.TakeUnsent("j").size(), 1u);
  EXPECT_EQ(reports.TakeUnsent("j").size(), 0u);
  reports.StartSession();
  EXPECT_EQ(reports.TakeUnsent("j").size(), 1u);
}

TEST(EpochReportsTest, ManyStepsAreCutIntoMessages) {
  EpochReports reports;
  const int steps = 2 * EpochReports::kStepsPerMessage + 1;
  for (int step = 1; step <= steps; ++step) reports.AddStep(Step(step));
  const std::vector<StageMessage> messages = reports.TakeUnsent("j");
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[2].steps().reports_size(), 1);
  EXPECT_EQ(StepsIn(messages).size(), static_cast<size_t>(steps));
}

TEST(EpochReportsTest, TheOldestLogLinesGoWhenThereAreTooMany) {
  EpochReports reports;
  for (size_t line = 0; line <= EpochReports::kMaxLogEntries; ++line) {
    reports.AddLog(absl::UnixEpoch(), "info", "x");
  }
  const std::vector<int64_t> sent = LogsIn(reports.TakeUnsent("j"));
  EXPECT_EQ(sent.size(), EpochReports::kMaxLogEntries);
  EXPECT_EQ(sent.front(), 2);
}

TEST(EpochReportsTest, ALongLineIsCutAndSaysSo) {
  EpochReports reports;
  reports.AddLog(absl::UnixEpoch(), "info", std::string(100'000, 'x'));
  const std::vector<StageMessage> messages = reports.TakeUnsent("j");
  const std::string text = messages[0].logs().entries(0).text();
  EXPECT_LT(text.size(), EpochReports::kMaxLogTextBytes + 100);
  EXPECT_THAT(text, ::testing::EndsWith(" ... (cut, 100000 bytes)"));
}

TEST(EpochReportsTest, ALogLineKeepsItsTimeAndLevel) {
  EpochReports reports;
  reports.AddLog(absl::FromUnixNanos(42), "warning", "text");
  const std::vector<StageMessage> messages = reports.TakeUnsent("j");
  const LogEntry& entry = messages[0].logs().entries(0);
  EXPECT_EQ(entry.time_unix_nanos(), 42);
  EXPECT_EQ(entry.level(), "warning");
  EXPECT_EQ(entry.text(), "text");
}

// ---- Snapshots ------------------------------------------------------------

SnapshotReport SnapshotOf(int64_t step) {
  SnapshotReport report;
  report.set_step(step);
  return report;
}

ShardReport ShardsOf(int64_t step) {
  ShardReport report;
  report.mutable_checkpoint()->set_step(step);
  return report;
}

TEST(EpochReportsTest, SnapshotAndShardsAreSentOncePerSessionBeforeTheEnd) {
  EpochReports reports;
  reports.WantSnapshot(5);
  reports.SetSnapshot(SnapshotOf(5));
  reports.SetShards(ShardsOf(5));
  reports.SetFinished({});
  for (int session = 0; session < 2; ++session) {
    EXPECT_TRUE(reports.has_unsent());
    const std::vector<StageMessage> messages = reports.TakeUnsent("job-1");
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[0].snapshot().step(), 5);
    EXPECT_EQ(messages[0].snapshot().job_id(), "job-1");
    EXPECT_EQ(messages[1].shards().checkpoint().step(), 5);
    EXPECT_TRUE(messages[2].has_finished());
    EXPECT_FALSE(reports.has_unsent());
    EXPECT_TRUE(reports.TakeUnsent("job-1").empty());
    reports.StartSession();
  }
}

TEST(EpochReportsTest, WhatIsNoLongerWantedIsForgotten) {
  EpochReports reports;
  reports.WantSnapshot(5);
  reports.SetSnapshot(SnapshotOf(5));
  reports.SetShards(ShardsOf(5));
  reports.WantSnapshot(5);
  EXPECT_TRUE(reports.has_unsent());
  reports.WantSnapshot(10);
  EXPECT_FALSE(reports.has_unsent());
  reports.StartSession();
  EXPECT_FALSE(reports.has_unsent());
}

TEST(EpochReportsTest, AReportOfAStepThatIsNotWantedIsDropped) {
  EpochReports reports;
  reports.WantSnapshot(10);
  reports.SetSnapshot(SnapshotOf(5));
  reports.SetShards(ShardsOf(5));
  EXPECT_FALSE(reports.has_unsent());
}

}  // namespace
}  // namespace penstock
