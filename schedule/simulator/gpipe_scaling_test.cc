// GPipe's scaling on TPUs (Huang et al., GPipe, 2019, table 2) by simulation:
// throughput with K stages and M microbatches, normalised to K = 2, M = 1.
//
// The fitted costs. The model's layers are eight groups of fixed size; a stage
// of K holds 8 / K of them. In units of one forward of the whole batch through
// the whole model, backward 2, recomputation (of every microbatch, as GPipe
// does) 1, all in proportion to the batch. A hop takes `hop` for the whole
// batch's tensor at the link's bandwidth, without latency; messages of a link
// go one after the other.
//
// Compared are the cells that a synchronous pipeline can reach on equal
// batches, M K / (M + K - 1) times one stage at a time. The paper exceeds that
// where it adapted the batch to the memory ("batch size was adjusted to fit
// memory if necessary"): with more stages and microbatches a larger batch fits,
// and its throughput is not that of the pipeline alone.

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// (K, M) to normalised throughput.
using Table = std::map<std::pair<int, int>, double>;

struct FittedModel {
  // Share of the forward time; eight, they sum to 1.
  std::vector<double> groups;
  double hop;
};

constexpr double kBackward = 2;

// Even layers. Nothing but the hop was fitted.
const FittedModel kTransformer = {std::vector<double>(8, 0.125), 0.01};
// Uneven cells: early ones work on large images.
const FittedModel kAmoebaNet = {
    {0.25, 0.25, 0.17, 0.10, 0.02, 0.02, 0.14, 0.05}, 0.25};

const Table kPublishedTransformer = {
    {{2, 1}, 1},    {{2, 4}, 1.7}, {{2, 32}, 1.8},
    {{4, 1}, 1.07}, {{4, 4}, 3.2}, {{4, 32}, 3.4},
    {{8, 1}, 1.3},  {{8, 4}, 4.8}, {{8, 32}, 6.3}};
const Table kPublishedAmoebaNet = {
    {{2, 1}, 1},    {{2, 4}, 1.07}, {{2, 32}, 1.21},
    {{4, 1}, 1.13}, {{4, 4}, 1.26}, {{4, 32}, 1.84},
    {{8, 1}, 1.38}, {{8, 4}, 1.72}, {{8, 32}, 3.48}};

double TimeOfBatch(const FittedModel& model, int stages, int microbatches) {
  const Schedule schedule =
      OverChain("gpipe", stages, microbatches, 1, {{"recompute", "always"}});
  CostModel costs;
  const int per_stage = 8 / stages;
  for (int s = 0; s < stages; ++s) {
    double share = 0;
    for (int i = 0; i < per_stage; ++i) {
      share += model.groups[s * per_stage + i];
    }
    costs.stages.push_back({.forward = share / microbatches,
                            .backward = kBackward * share / microbatches});
  }
  // In units of which the whole batch's tensor has 1,000,000.
  costs.edge_bytes.assign(stages - 1, 1'000'000 / microbatches);
  costs.link = {.bandwidth = 1'000'000 / model.hop, .serialised = true};
  return SummaryOf(schedule, costs).makespan;
}

Table Throughputs(const FittedModel& model) {
  Table table;
  const double base = TimeOfBatch(model, 2, 1);
  for (const int stages : {2, 4, 8}) {
    for (const int microbatches : {1, 4, 32}) {
      table[{stages, microbatches}] =
          base / TimeOfBatch(model, stages, microbatches);
    }
  }
  return table;
}

bool CanBeReached(int stages, int microbatches, double throughput) {
  return throughput <= static_cast<double>(microbatches) * stages /
                           (microbatches + stages - 1);
}

// Checks the cells that can be reached; returns the others.
std::vector<std::pair<int, int>> ExpectWithin(double tolerance,
                                              const FittedModel& model,
                                              const Table& published) {
  std::vector<std::pair<int, int>> beyond;
  const Table simulated = Throughputs(model);
  for (const auto& [cell, throughput] : published) {
    if (!CanBeReached(cell.first, cell.second, throughput)) {
      beyond.push_back(cell);
      continue;
    }
    EXPECT_LE(std::abs(simulated.at(cell) / throughput - 1), tolerance)
        << "K=" << cell.first << " M=" << cell.second << ": published "
        << throughput << ", simulated " << simulated.at(cell);
  }
  return beyond;
}

TEST(GpipeScalingTest, TransformerScalesAsPublished) {
  EXPECT_THAT(
      ExpectWithin(0.05, kTransformer, kPublishedTransformer),
      ElementsAre(Pair(2, 4), Pair(4, 1), Pair(4, 4), Pair(8, 1), Pair(8, 4)));
}

TEST(GpipeScalingTest, AmoebaNetScalesAsPublishedWithUnevenCells) {
  EXPECT_THAT(ExpectWithin(0.15, kAmoebaNet, kPublishedAmoebaNet),
              ElementsAre(Pair(4, 1), Pair(8, 1)));
}

// GPipe's M = 1 gains although only one stage works at a time: the stages but
// the last recompute while they wait for the gradient.
TEST(GpipeScalingTest, OneMicrobatchGainsByRecomputingWhileItWaits) {
  const FittedModel free_links = {std::vector<double>(8, 0.125), 1e-9};
  EXPECT_NEAR(Throughputs(free_links).at({4, 1}), 3.5 / 3.25, 1e-6);
}

}  // namespace
}  // namespace penstock
