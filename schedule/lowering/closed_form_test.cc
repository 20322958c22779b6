// What the literature says of the schedules, by replaying their lists: the
// makespans and bubbles in closed form, and the microbatches in flight.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/replay.h"
#include "schedule/lowering/lower.h"

namespace penstock {
namespace {

using Parameters = std::map<std::string, std::string>;

constexpr int64_t kForwardTime = 1;
constexpr int64_t kBackwardTime = 2;

int64_t Cost(const Action& action) {
  if (action.op == Op::kForward) return kForwardTime;
  return action.op == Op::kBackward ? kBackwardTime : 0;
}

// -1 if there is no such schedule.
int64_t Makespan(const std::string& generator, const Parameters& parameters,
                 int p, int m) {
  absl::StatusOr<Schedule> schedule =
      Generate(generator, {p, p, m, parameters});
  if (!schedule.ok()) return -1;
  schedule->edges = ChainEdges(p);
  const ReplayResult result = Replay(*schedule, {.cost = Cost});
  return result.complete ? result.makespan : -1;
}

TEST(ClosedFormTest, PublishedMakespansAtFourRanks) {
  for (const auto& [m, makespan] :
       std::map<int, int64_t>{{4, 21}, {8, 33}, {16, 57}, {32, 105}}) {
    EXPECT_EQ(Makespan("gpipe", {}, 4, m), makespan);
    EXPECT_EQ(Makespan("gpipe", {{"order", "lifo"}}, 4, m), makespan);
    EXPECT_EQ(Makespan("one_f_one_b", {}, 4, m), makespan);
    EXPECT_EQ(Makespan("one_f_one_b", {{"warmup", "pb"}}, 4, m), makespan);
  }
}

// Bubble (idle / total) (p-1)/(m+p-1): the makespan is that many slots, and
// each rank works in m of them.
TEST(ClosedFormTest, GpipeAndOneFOneBTakeMPlusPMinusOneSlots) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = 1; m <= 64; ++m) {
      const int64_t want = (m + p - 1) * (kForwardTime + kBackwardTime);
      ASSERT_EQ(Makespan("gpipe", {}, p, m), want) << p << " " << m;
      ASSERT_EQ(Makespan("one_f_one_b", {}, p, m), want) << p << " " << m;
    }
  }
}

// Bubble (p-1)/p for any m.
TEST(ClosedFormTest, NaiveTakesEveryStageInTurn) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = 1; m <= 64; ++m) {
      ASSERT_EQ(Makespan("naive", {}, p, m),
                int64_t{p} * m * (kForwardTime + kBackwardTime));
    }
  }
}

TEST(ClosedFormTest, LoweringChangesNoMakespanWhenLinksAreFree) {
  for (const char* generator : {"naive", "gpipe", "one_f_one_b"}) {
    for (int p = 1; p <= 6; ++p) {
      for (int m = 1; m <= 10; ++m) {
        const absl::StatusOr<Schedule> lowered =
            MakeFlushSchedule({generator, {}, p, p, m, ChainEdges(p)});
        ASSERT_TRUE(lowered.ok()) << lowered.status();
        EXPECT_EQ(Replay(*lowered, {.cost = Cost}).makespan,
                  Makespan(generator, {}, p, m));
      }
    }
  }
}

// The most microbatches whose forward has run and whose backward has not.
int InFlight(const std::vector<Action>& actions) {
  int now = 0, most = 0;
  for (const Action& action : actions) {
    now += action.op == Op::kForward ? 1 : -1;
    most = std::max(most, now);
  }
  return most;
}

TEST(ClosedFormTest, MicrobatchesInFlight) {
  for (int p = 1; p <= 9; ++p) {
    for (int m = 1; m <= 20; ++m) {
      const Schedule naive = *Generate("naive", {p, p, m});
      const Schedule gpipe = *Generate("gpipe", {p, p, m});
      const Schedule early = *Generate("one_f_one_b", {p, p, m});
      const Schedule late =
          *Generate("one_f_one_b", {p, p, m, {{"warmup", "pb"}}});
      for (int r = 0; r < p; ++r) {
        EXPECT_EQ(InFlight(naive.ranks[r]), 1);
        EXPECT_EQ(InFlight(gpipe.ranks[r]), m);
        EXPECT_EQ(InFlight(early.ranks[r]), std::min(p - r, m));
        EXPECT_EQ(InFlight(late.ranks[r]), std::min(2 * (p - r) - 1, m));
      }
    }
  }
}

}  // namespace
}  // namespace penstock
