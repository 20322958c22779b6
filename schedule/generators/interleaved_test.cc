#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/replay.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

GeneratorRequest Request(int p, int m, int v) {
  return {p, 0, m, {{"chunks", absl::StrCat(v)}}};
}

TEST(InterleavedTest, ChunksOfAGroupTakeTurns) {
  const Schedule schedule = *Generate("interleaved", Request(2, 4, 2));
  EXPECT_EQ(ListText(schedule, 0),
            "0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3");
  EXPECT_EQ(ListText(schedule, 1),
            "1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3");
}

// A shorter last group, written down as the others are, deadlocks for some of
// these: (5,7,2), (6,8,2), (8,10,2), (4,5,3).
TEST(InterleavedTest, EveryNumberOfMicrobatchesVerifies) {
  for (int p = 1; p <= 8; ++p) {
    for (int m = 1; m <= 32; ++m) {
      for (int v = 1; v <= 4; ++v) {
        Schedule schedule = *Generate("interleaved", Request(p, m, v));
        schedule.edges = ChainEdges(schedule.num_stages());
        const auto violations = Verify(schedule, {.lowered = false});
        ASSERT_TRUE(violations.empty()) << p << " " << m << " " << v << " "
                                        << Describe(schedule, violations[0]);
      }
    }
  }
}

TEST(InterleavedTest, GroupMayBeWiderThanTheRanks) {
  for (int m = 1; m <= 16; ++m) {
    Schedule schedule = *Generate("interleaved", {4, 12, m, {{"group", "6"}}});
    schedule.edges = ChainEdges(12);
    EXPECT_TRUE(Verify(schedule, {.lowered = false}).empty()) << m;
  }
}

// Bubble (p-1)/(vm+p-1) of the total, in units of a chunk's forward and
// backward.
TEST(InterleavedTest, BubbleIsDividedByTheChunks) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = p; m <= 64; m += p) {
      for (int v = 1; v <= 3; ++v) {
        Schedule schedule = *Generate("interleaved", Request(p, m, v));
        schedule.edges = ChainEdges(schedule.num_stages());
        const ReplayResult result =
            Replay(schedule, {.cost = [](const Action& action) -> int64_t {
                     return action.op == Op::kForward ? 1 : 2;
                   }});
        ASSERT_EQ(result.makespan, 3 * (v * m + p - 1))
            << p << " " << m << " " << v;
      }
    }
  }
}

TEST(InterleavedTest, ChunksInFlightOnTheFirstRank) {
  const Schedule schedule = *Generate("interleaved", Request(8, 32, 2));
  int now = 0, most = 0;
  for (const Action& action : schedule.ranks[0]) {
    now += action.op == Op::kForward ? 1 : -1;
    most = std::max(most, now);
  }
  EXPECT_EQ(most, 23);  // 2(p-1) + (v-1)p + 1
}

}  // namespace
}  // namespace penstock
