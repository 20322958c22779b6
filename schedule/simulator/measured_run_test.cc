#include "schedule/simulator/measured_run.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/chain.h"
#include "schedule/lowering/lower.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr double kNear = 1e-8;

Schedule Lowered(const std::string& generator, int p, int m,
                 std::vector<Edge> edges) {
  const absl::StatusOr<Schedule> schedule =
      MakeFlushSchedule({.generator = generator,
                         .num_ranks = p,
                         .num_stages = p,
                         .num_microbatches = m,
                         .edges = std::move(edges)});
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule{});
}

// Costs that no two stages share, in milliseconds' size.
CostModel Costs(const Schedule& schedule) {
  CostModel costs;
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    costs.stages.push_back({.forward = 1e-3 * (1 + stage),
                            .input_gradient = 1.5e-3,
                            .weight_gradient = 0.5e-3 * (1 + stage),
                            .update = 0.25e-3});
  }
  costs.link.latency = 50e-6;
  costs.agree_norm = 80e-6;
  return costs;
}

// What stage servers would report of the run: each by a clock of its own.
std::vector<StepTrace> TracesOf(const Schedule& schedule, const Timeline& run) {
  const auto nanos = [](double seconds) { return std::llround(seconds * 1e9); };
  std::vector<StepTrace> traces;
  for (size_t rank = 0; rank < run.ranks.size(); ++rank) {
    StepTrace& trace = traces.emplace_back();
    const auto ahead = static_cast<int64_t>(1'000'000'000 * rank);
    trace.set_step(3);
    trace.set_start_nanos(77 + ahead);
    trace.set_clock_offset_nanos(-ahead);
    for (size_t i = 0; i < run.ranks[rank].size(); ++i) {
      const TimelineEvent& event = run.ranks[rank][i];
      const Op op = schedule.ranks[rank][i].op;
      // A receive that did not wait has its input from the start.
      const bool waits =
          (IsReceive(op) && event.inputs_made >= 0) || op == Op::kAgreeNorm;
      const double started =
          waits ? event.end
                : event.start + (IsReceive(op) ? 0 : event.overhead);
      trace.add_issued(nanos(event.start));
      trace.add_started(nanos(started));
      trace.add_ended(nanos(event.end));
    }
  }
  return traces;
}

TEST(MeasuredRunTest, ATimelineIsOnOneClockAndKnowsWhatWaitedForWhat) {
  const Schedule schedule = Lowered("one_f_one_b", 3, 4, ChainEdges(3));
  const Timeline run = Simulated(schedule, Costs(schedule));
  const auto measured = MeasuredTimeline(schedule, TracesOf(schedule, run));
  ASSERT_TRUE(measured.ok()) << measured.status();
  for (int rank = 0; rank < 3; ++rank) {
    ASSERT_EQ(measured->ranks[rank].size(), run.ranks[rank].size());
    for (size_t i = 0; i < run.ranks[rank].size(); ++i) {
      const TimelineEvent& event = measured->ranks[rank][i];
      EXPECT_NEAR(event.start, run.ranks[rank][i].start, kNear);
      EXPECT_NEAR(event.end, run.ranks[rank][i].end, kNear);
      if (IsReceive(schedule.ranks[rank][i].op) &&
          run.ranks[rank][i].inputs_made >= 0) {
        EXPECT_NEAR(event.inputs_made, run.ranks[rank][i].inputs_made, kNear);
      }
    }
  }
  // Forward and backward over both cuts.
  EXPECT_EQ(measured->transfers.size(), size_t{2 * 2 * 4});
}

TEST(MeasuredRunTest, CostsAreThoseTheRunHad) {
  for (const std::string generator : {"one_f_one_b", "zb_h1", "gpipe"}) {
    const Schedule schedule = Lowered(generator, 3, 4, ChainEdges(3));
    CostModel costs = Costs(schedule);
    costs.action_overhead = 2e-6;
    const Timeline run = Simulated(schedule, costs);
    const auto measured = MeasuredTimeline(schedule, TracesOf(schedule, run));
    ASSERT_TRUE(measured.ok()) << measured.status();
    const CostModel found = MeasuredCosts(schedule, {*measured}, {});
    for (int stage = 0; stage < 3; ++stage) {
      EXPECT_NEAR(found.stages[stage].forward, costs.stages[stage].forward,
                  kNear);
      EXPECT_NEAR(found.BackwardOf(stage), costs.BackwardOf(stage), kNear);
      EXPECT_NEAR(found.stages[stage].update, costs.stages[stage].update,
                  kNear);
    }
    EXPECT_NEAR(found.link.latency, costs.link.latency, 5e-6) << generator;
    const double again = SummaryOf(schedule, found).makespan;
    EXPECT_NEAR(again / SummaryOf(schedule, costs).makespan, 1, 0.005)
        << generator;
  }
}

TEST(MeasuredRunTest, SizesOnOneLinkGiveItsLatencyAndBandwidth) {
  std::vector<Edge> edges = ChainEdges(2);
  edges.push_back({EdgeKind::kTiedWeight, "w", StageId(0), StageId(1)});
  const Schedule schedule = Lowered("gpipe", 2, 4, edges);
  CostModel costs = Costs(schedule);
  costs.stages[1].update = 0.1e-3;
  costs.edge_bytes = {1'000'000, 5'000'000};
  costs.link = {.latency = 20e-6, .bandwidth = 10e9};
  const auto measured = MeasuredTimeline(
      schedule, TracesOf(schedule, Simulated(schedule, costs)));
  ASSERT_TRUE(measured.ok()) << measured.status();
  const CostModel found =
      MeasuredCosts(schedule, {*measured}, costs.edge_bytes);
  const LinkCost& link = found.links.at({0, 1});
  EXPECT_NEAR(link.latency, 20e-6, 1e-6);
  EXPECT_NEAR(link.bandwidth / 10e9, 1, 0.01);
}

TEST(MeasuredRunTest, FractionsSayWhereTheTimeWent) {
  const Schedule schedule = Lowered("gpipe", 2, 4, ChainEdges(2));
  CostModel costs;
  costs.stages = {{.forward = 1e-3, .backward = 2e-3},
                  {.forward = 1e-3, .backward = 2e-3}};
  const std::vector<StepTrace> traces =
      TracesOf(schedule, Simulated(schedule, costs));
  auto fractions = MeasureFractions(schedule, traces, {});
  ASSERT_TRUE(fractions.ok()) << fractions.status();
  EXPECT_NEAR(fractions->balance, 1, 1e-6);
  // 4 of 5 slots.
  EXPECT_NEAR(fractions->schedule, 0.8, 1e-4);
  EXPECT_NEAR(fractions->runtime, 1, 1e-4);
  // The second stage takes half as long.
  costs.stages[1] = {.forward = 0.5e-3, .backward = 1e-3};
  costs.action_overhead = 0.5e-3;
  fractions = MeasureFractions(
      schedule, TracesOf(schedule, Simulated(schedule, costs)), {});
  ASSERT_TRUE(fractions.ok()) << fractions.status();
  EXPECT_NEAR(fractions->balance, 0.75, 1e-6);
  EXPECT_GT(fractions->schedule, 0.85);
  EXPECT_LT(fractions->runtime, 0.8);
}

TEST(MeasuredRunTest, AnEdgesBytesAreThoseOfItsTensor) {
  Plan plan;
  TensorSpec* tensor = plan.add_edge_tensors();
  tensor->set_dtype(DTYPE_BFLOAT16);
  tensor->add_shape(3);
  tensor->add_shape(5);
  plan.add_edge_tensors()->set_dtype(DTYPE_FLOAT32);
  EXPECT_THAT(EdgeBytes(plan), ::testing::ElementsAre(30, 4));
}

TEST(MeasuredRunTest, AStepLastsAsLongAsOnItsSlowestRank) {
  StepTrace fast, slow;
  fast.add_ended(1'000'000);
  slow.add_ended(500'000);
  slow.add_ended(2'000'000);
  EXPECT_DOUBLE_EQ(StepSeconds({fast, slow, StepTrace()}), 2e-3);
}

TEST(MeasuredRunTest, TracesThatDoNotFitTheScheduleAreRefused) {
  const Schedule schedule = Lowered("gpipe", 2, 2, ChainEdges(2));
  const std::vector<StepTrace> good =
      TracesOf(schedule, Simulated(schedule, Costs(schedule)));
  const auto refused = [&](std::vector<StepTrace> traces) {
    return std::string(MeasuredTimeline(schedule, traces).status().message());
  };
  EXPECT_THAT(refused({good[0]}), HasSubstr("1 traces for a schedule of 2"));
  std::vector<StepTrace> traces = good;
  traces[1].set_step(4);
  EXPECT_THAT(refused(traces),
              HasSubstr("rank 1: is of step 4, rank 0's of step 3"));
  traces = good;
  traces[1].mutable_ended()->RemoveLast();
  EXPECT_THAT(refused(traces), HasSubstr("times for a list of"));
  traces = good;
  traces[0].set_ended(0, -5);
  EXPECT_THAT(refused(traces), HasSubstr("action 0 are not in order"));
}

}  // namespace
}  // namespace penstock
