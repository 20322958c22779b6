#include "schedule/generators/round_robin.h"

#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Orders(const RoundRobin& pipeline, int microbatches) {
  std::vector<std::string> orders;
  for (const auto& actions : pipeline.Run(microbatches)) {
    orders.push_back(
        absl::StrJoin(actions, " ", [](std::string* out, const Action& action) {
          absl::StrAppend(out, action.op == Op::kForward ? "F" : "B",
                          action.microbatch.value());
        }));
  }
  return orders;
}

// The figure of PipeDream's section 3.2: two replicas of stage 0.
TEST(RoundRobinTest, TwoOneOneTakesMicrobatchesInTurns) {
  EXPECT_THAT(Orders(RoundRobin({2, 1, 1}), 8),
              ElementsAre("F0 F2 B0 F4 B2 F6 B4 B6", "F1 F3 B1 F5 B3 F7 B5 B7",
                          "F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7",
                          "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7"));
}

TEST(RoundRobinTest, OneReplicaEachIsTheStraightPipeline) {
  EXPECT_THAT(Orders(RoundRobin({1, 1, 1}), 4),
              ElementsAre("F0 F1 F2 B0 F3 B1 B2 B3", "F0 F1 B0 F2 B1 F3 B2 B3",
                          "F0 B0 F1 B1 F2 B2 F3 B3"));
}

TEST(RoundRobinTest, FewerMicrobatchesThanReplicasLeavesSomeIdle) {
  EXPECT_THAT(Orders(RoundRobin({3, 1}), 2),
              ElementsAre("F0 B0", "F1 B1", "", "F0 B0 F1 B1"));
  EXPECT_THAT(Orders(RoundRobin({1, 1, 1}), 0), ElementsAre("", "", ""));
}

TEST(RoundRobinTest, WarmupIsTheDistanceFromTheEnd) {
  for (int p = 1; p <= 16; ++p) {
    const RoundRobin pipeline(std::vector<int>(p, 1));
    for (int stage = 0; stage < p; ++stage) {
      EXPECT_EQ(pipeline.WarmupRounds(stage), p - 1 - stage);
    }
    EXPECT_EQ(pipeline.MaxAhead(), p - 1);
  }
}

// NOAM = ceil(ranks / replicas of the input stage).
TEST(RoundRobinTest, InFlightIsPipedreamsNoam) {
  for (const std::vector<int>& replicas :
       std::vector<std::vector<int>>{{2, 1, 1},
                                     {1},
                                     {3, 2},
                                     {7, 1},
                                     {1, 7},
                                     {8, 3, 1},
                                     {9, 2, 2, 1},
                                     {2, 9}}) {
    const RoundRobin pipeline(replicas);
    const int n = std::accumulate(replicas.begin(), replicas.end(), 0);
    EXPECT_EQ(pipeline.num_ranks(), n);
    EXPECT_EQ(pipeline.InFlight(), (n + replicas[0] - 1) / replicas[0]);
    EXPECT_EQ(pipeline.WarmupRounds(pipeline.num_stages() - 1),
              (replicas.back() - 1) / replicas.back());
  }
}

TEST(RoundRobinTest, RanksAreNumberedAlongTheStages) {
  EXPECT_THAT(
      RoundRobin({2, 1, 3}).Outline("x", 6).placement,
      ElementsAre(ElementsAre(RankId(0), RankId(1)), ElementsAre(RankId(2)),
                  ElementsAre(RankId(3), RankId(4), RankId(5))));
}

TEST(RoundRobinTest, APeriodGivesEveryReplicaAsMany) {
  const RoundRobin pipeline({2, 3, 1});
  EXPECT_TRUE(pipeline.CheckPeriod("x", 6).ok());
  EXPECT_TRUE(pipeline.CheckPeriod("x", 12).ok());
  EXPECT_THAT(std::string(pipeline.CheckPeriod("x", 8).message()),
              HasSubstr("multiple of 6, got 8; the nearest: 6 and 12"));
  EXPECT_THAT(std::string(pipeline.CheckPeriod("x", 4).message()),
              HasSubstr("the nearest: 6"));
  EXPECT_EQ(pipeline.RoundUp(7), 12);
}

TEST(RoundRobinTest, AnEndlessRoundIsRefusedWithoutOverflow) {
  std::vector<int> primes = {101, 103, 107, 109, 113, 127, 131, 137, 139, 149};
  EXPECT_FALSE(RoundRobin(primes).CheckPeriod("x", 100'000'000).ok());
}

TEST(RoundRobinTest, ReplicasThatDoNotAddUpToTheRanksAreRefused) {
  const auto error = [](const char* replicas) {
    return std::string(
        RoundRobin::FromRequest("x", {4, 3, 4, {{"replicas", replicas}}})
            .status()
            .message());
  };
  EXPECT_THAT(error("2,2,1"),
              HasSubstr("takes 5 ranks, got 4; want 5 ranks or replicas that "
                        "add up to 4"));
  EXPECT_THAT(error("straight"), HasSubstr("takes 3 ranks, got 4"));
  EXPECT_THAT(error("1000000,1000000,1000000"), HasSubstr("3000000 ranks"));
}

TEST(RoundRobinTest, ReplicasAreRead) {
  const absl::StatusOr<RoundRobin> pipeline =
      RoundRobin::FromRequest("x", {4, 3, 4, {{"replicas", "2,1,1"}}});
  ASSERT_TRUE(pipeline.ok()) << pipeline.status();
  EXPECT_EQ(pipeline->replicas(0), 2);
  EXPECT_EQ(pipeline->num_stages(), 3);
}

}  // namespace
}  // namespace penstock
