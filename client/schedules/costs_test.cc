#include "client/schedules/costs.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kProfile[] = R"({
  "layers": [
    {"name": "a", "forwardSeconds": 1, "backwardSeconds": 2},
    {"name": "b", "forwardSeconds": 1, "backwardSeconds": 2},
    {"name": "c", "forwardSeconds": 2, "inputGradientSeconds": 2,
     "weightGradientSeconds": 2}],
  "tensors": [{"name": "b", "bytes": 100}]})";

Schedule TwoStages() {
  Schedule schedule =
      Generate("gpipe", {.num_ranks = 2, .num_microbatches = 1}).value();
  schedule.edges = ChainEdges(2);
  return schedule;
}

TEST(CostsOfTest, WithoutAProfileEveryStageCostsTheSame) {
  CostRequest request;
  request.times.forward = 3;
  request.action_overhead = 0.5;
  const absl::StatusOr<CostModel> costs = CostsOf(request, TwoStages());
  ASSERT_TRUE(costs.ok()) << costs.status();
  EXPECT_EQ(costs->stages[1].forward, 3);
  EXPECT_EQ(costs->action_overhead, 0.5);
  EXPECT_EQ(request.time_unit(), "");
}

TEST(CostsOfTest, AProfilesLayersAreCutByTheirTimeAndCarryTheirTensors) {
  CostRequest request;
  request.profile = ParseProfile(kProfile).value();
  const absl::StatusOr<CostModel> costs = CostsOf(request, TwoStages());
  ASSERT_TRUE(costs.ok()) << costs.status();
  EXPECT_EQ(costs->stages[0].forward, 2);
  EXPECT_EQ(costs->stages[1].forward, 2);
  EXPECT_EQ(costs->edge_bytes[0], 100);
  EXPECT_EQ(request.time_unit(), "s");
}

TEST(CostsOfTest, MoreStagesThanLayersIsRefused) {
  CostRequest request;
  request.profile = ParseProfile(kProfile).value();
  Schedule schedule =
      Generate("gpipe", {.num_ranks = 4, .num_microbatches = 1}).value();
  schedule.edges = ChainEdges(4);
  const absl::Status status = CostsOf(request, schedule).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("profile"));
}

TEST(ParseProfileTest, WhatIsNoProfileIsRefused) {
  for (const char* bad :
       {"", "[", R"({"layer": []})",
        R"({"layers": [{"name": "a", "forwardSeconds": -1}]})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseProfile(bad).status())) << bad;
  }
}

}  // namespace
}  // namespace penstock
