#include "coordinator/core/memory_forecast.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// Two layers of 10 x 10 on microbatches of 4 samples, and a loss.
Graph TwoLinears() {
  Graph graph;
  graph.inputs["x"] = {ElementType::kActivation, {4, 10}};
  graph.inputs["labels"] = {ElementType::kInt64, {4}, 10};
  graph.microbatch_size = 4;
  const std::map<std::string, double> square = {{"in", 10}, {"out", 10}};
  graph.layers = {{"a", "linear", square, {"x"}, ""},
                  {"b", "linear", square, {"a"}, ""},
                  {"loss", "cross_entropy", {}, {"b", "labels"}, ""}};
  return graph;
}

constexpr int64_t kActivation = 4 * 10 * 4;
constexpr int64_t kLabels = 4 * 8;
// 100 weights and 10 biases, each from a multiple of 32 numbers on.
constexpr int64_t kLinear = (128 + 32) * 4;

Schedule TwoRanks(const std::string& first, const std::string& second,
                  int microbatches = 2) {
  const auto schedule =
      ParseSchedule("penstock-schedule 1\nname by_hand\nmicrobatches " +
                    std::to_string(microbatches) +
                    "\nplacement r0 r1\nedge activation a 0>1\nr0: " + first +
                    "\nr1: " + second + "\n");
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *schedule;
}

Plan PlanOf(int lookahead) {
  Plan plan;
  plan.mutable_job()->set_dtype("float32");
  plan.mutable_job()->mutable_optimizer()->set_kind("adamw");
  plan.set_receive_lookahead(lookahead);
  plan.add_stages()->add_layers("a");
  StagePlan* const last = plan.add_stages();
  last->add_layers("b");
  last->add_layers("loss");
  TensorSpec* const tensor = plan.add_edge_tensors();
  tensor->add_shape(4);
  tensor->add_shape(10);
  return plan;
}

std::vector<MemoryUse> Forecast(const Schedule& schedule, int lookahead = 0) {
  const auto uses = ForecastMemory(PlanOf(lookahead), schedule, TwoLinears());
  EXPECT_TRUE(uses.ok()) << uses.status();
  return uses.value_or(std::vector<MemoryUse>(2));
}

TEST(MemoryForecastTest, StaticMemoryIsOfTheRanksOwnStages) {
  const std::vector<MemoryUse> uses = Forecast(TwoRanks("0U", "1U"));
  for (const MemoryUse& use : uses) {
    EXPECT_EQ(use.weight_bytes(), kLinear);
    EXPECT_EQ(use.gradient_bytes(), kLinear);
    EXPECT_EQ(use.optimizer_bytes(), 2 * kLinear);
    EXPECT_EQ(use.activation_bytes(), 0);
    EXPECT_EQ(use.peak_bytes(), 4 * kLinear);
  }
}

TEST(MemoryForecastTest, AForwardKeepsItsInputAndWhatItSendsUntilItsBackward) {
  const std::vector<MemoryUse> uses = Forecast(
      TwoRanks("0F0 0SF0[a>r1] 0F1 0SF1[a>r1] 0RB0[a<r1] 0B0 0RB1[a<r1] 0B1",
               "1RF0[a<r0] 1F0 1B0 1SB0[a>r0] 1RF1[a<r0] 1F1 1B1 1SB1[a>r0]"));
  // Two of x and of a, and the gradient that comes.
  EXPECT_EQ(uses[0].activation_bytes(), 5 * kActivation);
  // One of a, of the probabilities and of the labels.
  EXPECT_EQ(uses[1].activation_bytes(), 2 * kActivation + kLabels);
  EXPECT_EQ(uses[1].peak_bytes(), 4 * kLinear + 2 * kActivation + kLabels);
}

TEST(MemoryForecastTest, ReceivesPostedAheadHaveTheirMemory) {
  const Schedule schedule =
      TwoRanks("0F0 0SF0[a>r1] 0F1 0SF1[a>r1]", "1RF0[a<r0] 1RF1[a<r0]");
  EXPECT_EQ(Forecast(schedule, 0)[1].activation_bytes(), 2 * kActivation);
  const Schedule later = TwoRanks("0F0 0SF0[a>r1] 0F1 0SF1[a>r1]",
                                  "1RF0[a<r0] 1F0 1B0 1RF1[a<r0]");
  const int64_t in_flight = 2 * kActivation + kLabels;
  EXPECT_EQ(Forecast(later, 0)[1].activation_bytes(), in_flight);
  EXPECT_EQ(Forecast(later, 2)[1].activation_bytes(), in_flight + kActivation);
}

TEST(MemoryForecastTest, APutOffWeightGradientKeepsInputAndGradient) {
  const std::vector<MemoryUse> uses =
      Forecast(TwoRanks("0F0 0I0 0F1 0I1 0W0 0W1", "1F0 1I0 1W0"));
  EXPECT_EQ(uses[0].weight_queue_bytes(), 2 * 2 * kActivation);
  EXPECT_EQ(uses[1].weight_queue_bytes(), 2 * kActivation);
}

TEST(MemoryForecastTest, WhatIsRecomputedKeepsItsInputsOnly) {
  const std::vector<MemoryUse> uses =
      Forecast(TwoRanks("0F0 0SF0[a>r1] 0R0 0B0", "1RF0[a<r0] 1F0 1R0 1B0"));
  // x and what is to be sent; then x and what was made again.
  EXPECT_EQ(uses[0].activation_bytes(), 2 * kActivation);
  EXPECT_EQ(uses[1].activation_bytes(), 2 * kActivation + kLabels);
}

// Two stages that keep two versions and one, as PipeDream's do on two ranks.
Schedule TwoVersions() {
  const auto schedule = ParseSchedule(R"(penstock-schedule 1
name by_hand
microbatches 1
policy stash
placement r0 r1
versions 1/1 1/0
edge activation a 0>1
prologue
r0: 0F0@0 0SF0[a>r1]
r1:
period
r0: 0F1@0 0SF1[a>r1] 0RB0[a<r1] 0B0@0 0U@1
r1: 1RF0[a<r0] 1F0@0 1B0@0 1U@1 1SB0[a>r0]
epilogue
r0: 0RB0[a<r1] 0B0@0 0U@1
r1: 1RF0[a<r0] 1F0@0 1B0@0 1U@1 1SB0[a>r0]
)");
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *schedule;
}

TEST(MemoryForecastTest, EveryVersionThatAStageKeepsCounts) {
  const std::vector<MemoryUse> uses = Forecast(TwoVersions());
  EXPECT_EQ(uses[0].weight_bytes(), 2 * kLinear);
  EXPECT_EQ(uses[1].weight_bytes(), kLinear);
  for (const MemoryUse& use : uses) {
    EXPECT_EQ(use.gradient_bytes(), kLinear);
    EXPECT_EQ(use.optimizer_bytes(), 2 * kLinear);
  }
}

TEST(MemoryForecastTest, NarrowVersionsStandBesideOneMaster) {
  Plan plan = PlanOf(0);
  plan.mutable_job()->set_dtype("bfloat16");
  const auto uses = ForecastMemory(plan, TwoVersions(), TwoLinears());
  ASSERT_TRUE(uses.ok()) << uses.status();
  EXPECT_EQ((*uses)[0].weight_bytes(), kLinear + 2 * kLinear / 2);
  EXPECT_EQ((*uses)[1].weight_bytes(), kLinear + kLinear / 2);
}

TEST(MemoryForecastTest, ARunHoldsWhatItsPeriodDoesAndNotItsPrologueAlone) {
  const std::vector<MemoryUse> uses = Forecast(TwoVersions());
  // Two of x and of a, and the gradient that comes.
  EXPECT_EQ(uses[0].activation_bytes(), 5 * kActivation);
  EXPECT_EQ(uses[1].activation_bytes(), 2 * kActivation + kLabels);
}

TEST(MemoryForecastTest, StagesOfOneRankShareWhatGoesBetweenThem) {
  const auto schedule = ParseSchedule(
      "penstock-schedule 1\nname by_hand\nmicrobatches 1\nplacement r0 r0\n"
      "edge activation a 0>1\nr0: 0F0 1F0 1B0 0B0\n");
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  // x, a, the probabilities, the labels.
  EXPECT_EQ(Forecast(*schedule)[0].activation_bytes(),
            3 * kActivation + kLabels);
}

}  // namespace
}  // namespace penstock
