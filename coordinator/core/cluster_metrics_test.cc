#include "coordinator/core/cluster_metrics.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "coordinator/core/cluster_fixture.h"
#include "coordinator/core/training_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

constexpr char kPage[] = "docs/metrics.md";

const Metric& Find(const std::vector<Metric>& metrics,
                   const std::string& name) {
  for (const Metric& metric : metrics) {
    if (metric.name == name) return metric;
  }
  ADD_FAILURE() << "no metric " << name;
  static const Metric none;
  return none;
}

// Of the sample whose first label has this value; -1 without one.
double ValueOf(const std::vector<Metric>& metrics, const std::string& name,
               const std::string& label) {
  for (const MetricSample& sample : Find(metrics, name).samples) {
    if (sample.labels.at(0).second == label) return sample.value;
  }
  return -1;
}

TEST(ClusterMetrics, CountsJobsAndServersByState) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Join("s2");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  ASSERT_TRUE(cluster.Submit("b", 2).ok());
  cluster.Run("a");
  const auto metrics = ClusterMetrics(cluster.state, "1.0", cluster.now);
  EXPECT_EQ(ValueOf(metrics, "penstock_jobs", "RUNNING"), 1);
  EXPECT_EQ(ValueOf(metrics, "penstock_jobs", "QUEUED"), 1);
  EXPECT_EQ(ValueOf(metrics, "penstock_jobs", "FAILED"), 0);
  EXPECT_EQ(ValueOf(metrics, "penstock_servers", "RUNNING"), 1);
  EXPECT_EQ(ValueOf(metrics, "penstock_servers", "IDLE"), 1);
}

TEST(ClusterMetrics, SaysHowLongAServerIsSilent) {
  Cluster cluster;
  cluster.Join("s1");
  cluster.Advance(absl::Milliseconds(2500));
  const auto metrics = ClusterMetrics(cluster.state, "1.0", cluster.now);
  const Metric& silence = Find(metrics, "penstock_server_silence_seconds");
  ASSERT_EQ(silence.samples.size(), 1);
  EXPECT_DOUBLE_EQ(silence.samples[0].value, 2.5);
}

TEST(ClusterMetrics, FollowAJobUntilItHasEnded) {
  Cluster cluster;
  cluster.Join("s1");
  ASSERT_TRUE(cluster.Submit("a", 1).ok());
  cluster.Run("a");
  ASSERT_TRUE(cluster.ReportStep("s1", "a", 1).ok());
  auto metrics = ClusterMetrics(cluster.state, "1.0", cluster.now);
  EXPECT_EQ(ValueOf(metrics, "penstock_job_step", "a"), 1);
  EXPECT_EQ(ValueOf(metrics, "penstock_job_steps", "a"), 2);
  ASSERT_TRUE(cluster.ReportStep("s1", "a", 2).ok());
  cluster.Finish("a");
  metrics = ClusterMetrics(cluster.state, "1.0", cluster.now);
  EXPECT_THAT(Find(metrics, "penstock_job_step").samples, IsEmpty());
  EXPECT_EQ(ValueOf(metrics, "penstock_jobs", "SUCCEEDED"), 1);
}

TEST(ClusterMetrics, CountCheckpointsOfJobsThatKeepThem) {
  TrainingCluster cluster;
  ASSERT_TRUE(cluster.Train("kept", EverySteps(4), 12).ok());
  cluster.Run("kept");
  cluster.MakeSteps("kept", 1, 4);
  cluster.MakeCheckpoint("kept", 4);
  const auto metrics = ClusterMetrics(cluster.state, "1.0", cluster.now);
  EXPECT_EQ(ValueOf(metrics, "penstock_job_checkpoint_step", "kept"), 4);
  EXPECT_EQ(
      ValueOf(metrics, "penstock_job_checkpoints_committed_total", "kept"), 1);
}

TEST(ClusterMetrics, HaveNamesAsPrometheusWantsThem) {
  std::set<std::string> names;
  for (const Metric& metric : ClusterMetrics({}, "1.0", absl::UnixEpoch())) {
    EXPECT_THAT(metric.name, MatchesRegex("penstock_[a-z_]+"));
    EXPECT_EQ(metric.kind == MetricKind::kCounter,
              absl::EndsWith(metric.name, "_total"))
        << metric.name;
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
  }
}

TEST(ClusterMetrics, AreAllOnTheirPage) {
  const auto page = ReadFile(kPage);
  ASSERT_TRUE(page.ok()) << page.status();
  for (const Metric& metric : ClusterMetrics({}, "1.0", absl::UnixEpoch())) {
    const bool counts = metric.kind == MetricKind::kCounter;
    EXPECT_THAT(*page, HasSubstr(absl::StrCat("| `", metric.name, "` | ",
                                              counts ? "counter" : "gauge",
                                              " | ", metric.help, " |")));
  }
}

}  // namespace
}  // namespace penstock
