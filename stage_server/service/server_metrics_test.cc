#include "stage_server/service/server_metrics.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kPage[] = "docs/metrics.md";

// Without labels; -1 where it has no sample.
double ValueOf(const ServerMetrics& metrics, const std::string& name) {
  for (const Metric& metric : metrics.Collect()) {
    if (metric.name == absl::StrCat("penstock_stage_server_", name)) {
      return metric.samples.empty() ? -1 : metric.samples[0].value;
    }
  }
  ADD_FAILURE() << "no metric " << name;
  return -1;
}

StepDone Step(int64_t step, int64_t sent_bytes) {
  StepDone done{{"j", 1}, {}, {}, {}};
  done.report.set_step(step);
  done.report.set_step_nanos(2'000'000'000);
  done.report.set_busy_nanos(1'500'000'000);
  done.report.set_tokens(100);
  done.use.emplace().add_edges()->set_bytes(sent_bytes);
  done.use->mutable_memory()->set_peak_bytes(4096);
  return done;
}

TEST(ServerMetrics, AddUpSteps) {
  ServerMetrics metrics({});
  metrics.Observe(Step(1, 10));
  metrics.Observe(Step(2, 20));
  EXPECT_EQ(ValueOf(metrics, "steps_total"), 2);
  EXPECT_DOUBLE_EQ(ValueOf(metrics, "step_seconds_total"), 4);
  EXPECT_DOUBLE_EQ(ValueOf(metrics, "busy_seconds_total"), 3);
  EXPECT_EQ(ValueOf(metrics, "tokens_total"), 200);
  EXPECT_EQ(ValueOf(metrics, "peak_memory_bytes"), 4096);
}

TEST(ServerMetrics, CountBytesOverEpochs) {
  ServerMetrics metrics({});
  metrics.Observe(Step(1, 10));
  metrics.Observe(Step(2, 20));
  EXPECT_EQ(ValueOf(metrics, "sent_bytes_total"), 20);
  metrics.Observe(Left{{"j", 1}, {}});
  metrics.Observe(Step(1, 7));
  EXPECT_EQ(ValueOf(metrics, "sent_bytes_total"), 27);
}

TEST(ServerMetrics, NameTheJobOnlyWhileItHasOne) {
  ServerMetrics metrics({});
  EXPECT_EQ(ValueOf(metrics, "job"), -1);
  metrics.Observe(Loaded{{"j", 1}, {}});
  EXPECT_EQ(ValueOf(metrics, "job"), 1);
  metrics.Observe(Failed{{"j", 1}, absl::InternalError("x"), {}, {}});
  EXPECT_EQ(ValueOf(metrics, "job"), -1);
  EXPECT_EQ(ValueOf(metrics, "faults_total"), 1);
}

TEST(ServerMetrics, TellWhetherThereIsASession) {
  ServerMetrics metrics({});
  EXPECT_EQ(ValueOf(metrics, "session"), 0);
  metrics.Observe(Registered{});
  EXPECT_EQ(ValueOf(metrics, "session"), 1);
  metrics.Observe(SessionEnded{});
  EXPECT_EQ(ValueOf(metrics, "session"), 0);
  EXPECT_EQ(ValueOf(metrics, "registrations_total"), 1);
}

TEST(ServerMetrics, CountSnapshotsThatWereTaken) {
  ServerMetrics metrics({});
  SnapshotTaken taken{{"j", 1}, {}};
  taken.report.set_blocked_nanos(250'000'000);
  metrics.Observe(taken);
  taken.report.set_missed(true);
  metrics.Observe(taken);
  EXPECT_EQ(ValueOf(metrics, "snapshots_total"), 1);
  EXPECT_DOUBLE_EQ(ValueOf(metrics, "snapshot_blocked_seconds_total"), 0.25);
}

TEST(ServerMetrics, AreAllOnTheirPage) {
  const auto page = ReadFile(kPage);
  ASSERT_TRUE(page.ok()) << page.status();
  for (const Metric& metric : ServerMetrics({}).Collect()) {
    const bool counts = metric.kind == MetricKind::kCounter;
    EXPECT_EQ(counts, absl::EndsWith(metric.name, "_total")) << metric.name;
    EXPECT_THAT(*page, HasSubstr(absl::StrCat("| `", metric.name, "` | ",
                                              counts ? "counter" : "gauge",
                                              " | ", metric.help, " |")));
  }
}

}  // namespace
}  // namespace penstock
