#include <cstdint>

#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/replay.h"

namespace penstock {
namespace {

// -1 if it deadlocks.
int64_t Makespan(Schedule schedule) {
  schedule.edges = ChainEdges(schedule.num_stages());
  const ReplayResult result =
      Replay(schedule, {.cost = [](const Action& action) -> int64_t {
               return action.op == Op::kForward ? 1 : 2;
             }});
  return result.complete ? result.makespan : -1;
}

TEST(LoopBfsTest, EachChunkTakesAllMicrobatches) {
  const Schedule schedule = *Generate("loop_bfs", {2, 0, 2, {{"chunks", "3"}}});
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 1F1 3F0 3F1 5F0 5F1 5B0 5B1 3B0 3B1 1B0 1B1");
}

TEST(GpipeGroupedTest, IsLoopBfsWithTwoChunks) {
  for (int m = 1; m <= 9; ++m) {
    EXPECT_EQ(Generate("gpipe_grouped", {4, 0, m})->ranks,
              Generate("loop_bfs", {4, 8, m})->ranks);
  }
}

// Bubble (p-1)/(vm+p-1) of the total.
TEST(LoopBfsTest, BubbleIsDividedByTheChunks) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = p; m <= 64; ++m) {
      ASSERT_EQ(Makespan(*Generate("loop_bfs", {p, 3 * p, m})),
                3 * (3 * m + p - 1));
      ASSERT_EQ(Makespan(*Generate("gpipe_grouped", {p, 0, m})),
                3 * (2 * m + p - 1));
    }
  }
}

TEST(LoopBfsTest, FewerMicrobatchesThanRanksEnd) {
  for (int p = 2; p <= 8; ++p) {
    for (int m = 1; m < p; ++m) {
      EXPECT_GT(Makespan(*Generate("loop_bfs", {p, 3 * p, m})), 0);
    }
  }
}

}  // namespace
}  // namespace penstock
