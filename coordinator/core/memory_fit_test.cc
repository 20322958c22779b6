#include "coordinator/core/memory_fit.h"

#include <memory>
#include <utility>

#include "coordinator/core/cluster_fixture.h"
#include "coordinator/core/placement.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;

// Ranks that hold so many MiB, of which the first half are weights.
Plan PlanOf(const std::vector<int64_t>& needs) {
  Plan plan = *PlanOfRanks("job", static_cast<int>(needs.size()));
  for (const int64_t need : needs) {
    MemoryUse& use = *plan.add_predicted_memory();
    use.set_weight_bytes(need * kMiB / 2);
    use.set_peak_bytes(need * kMiB);
  }
  return plan;
}

absl::StatusOr<std::string> Submit(Cluster& cluster, const Plan& plan) {
  return cluster.Apply(JobSubmitted{
      Fence(), "key", "job", std::make_shared<const Plan>(plan), {}});
}

void Join(Cluster& cluster, const std::string& id, int64_t mebibytes) {
  cluster.Join(id);
  cluster.server(id).set_memory_bytes(mebibytes * kMiB);
}

TEST(MemoryFitTest, ARankThatFitsNowhereIsRefusedWithWhatEachHolds) {
  Cluster cluster;
  Join(cluster, "s1", 4);
  Join(cluster, "s2", 8);
  Plan plan = PlanOf({2, 9});
  plan.mutable_schedule()->add_versions()->set_delay(3);
  const absl::Status status = Submit(cluster, plan).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("rank 1 is expected to hold 9 MiB, and the largest stage "
                      "server has 8 MiB"),
            HasSubstr("0     1 MiB      0 B        0 B        0 B         2 "
                      "MiB\n"),
            HasSubstr("1     4.5 MiB "),
            HasSubstr("weights.policy double_buffer, which keeps 2 versions of "
                      "the weights instead of 4"),
            HasSubstr("schedule.recompute: always")));
  EXPECT_TRUE(cluster.state.jobs.empty());
}

TEST(MemoryFitTest, AServerThatHasNotToldMayHaveEnough) {
  Cluster cluster;
  EXPECT_TRUE(CheckMemory(cluster.state, PlanOf({9})).ok());
  Join(cluster, "s1", 8);
  EXPECT_FALSE(CheckMemory(cluster.state, PlanOf({9})).ok());
  EXPECT_TRUE(CheckMemory(cluster.state, PlanOf({8})).ok());
  cluster.Join("s2");
  EXPECT_TRUE(CheckMemory(cluster.state, PlanOf({9})).ok());
}

TEST(MemoryFitTest, AnEmulatedPlanSaysNothingOfMemory) {
  Cluster cluster;
  Join(cluster, "s1", 1);
  EXPECT_TRUE(CheckMemory(cluster.state, *PlanOfRanks("job", 2)).ok());
}

TEST(MemoryFitTest, RanksGoWhereTheyFit) {
  Cluster cluster;
  Join(cluster, "s1", 2);
  Join(cluster, "s2", 9);
  Join(cluster, "s3", 4);
  ASSERT_TRUE(Submit(cluster, PlanOf({9, 1, 3})).ok());
  EXPECT_THAT(cluster.ServersOf("job"), ElementsAre("s2", "s1", "s3"));
}

TEST(MemoryFitTest, RanksThatFitKeepTheOrderOfHosts) {
  Cluster cluster;
  Join(cluster, "s1", 2);
  Join(cluster, "s2", 9);
  ASSERT_TRUE(Submit(cluster, PlanOf({1, 2})).ok());
  EXPECT_THAT(cluster.ServersOf("job"), ElementsAre("s1", "s2"));
}

TEST(MemoryFitTest, AJobWaitsForServersThatAreLargeEnough) {
  Cluster cluster;
  Join(cluster, "s1", 2);
  Join(cluster, "s2", 9);
  ASSERT_TRUE(Submit(cluster, PlanOf({5, 5})).ok());
  EXPECT_EQ(cluster.job("job").state(), JOB_STATE_QUEUED);
  EXPECT_EQ(cluster.job("job").reason(),
            "no 2 of the 2 idle stage servers have the memory that its ranks "
            "are expected to hold, 5 MiB at most; start larger ones");
}

TEST(MemoryTextTest, HasThreeDigits) {
  EXPECT_EQ(MemoryText(950), "950 B");
  EXPECT_EQ(MemoryText(12595), "12.3 KiB");
  EXPECT_EQ(MemoryText(int64_t{5} << 30), "5 GiB");
}

}  // namespace
}  // namespace penstock
