// Facts about every continuous schedule, from runs written out.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/version_walk.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

using Parameters = std::map<std::string, std::string>;

// What a run of a continuous schedule is made from.
struct Case {
  std::string name;
  GeneratorRequest request;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (int p = 1; p <= 8; ++p) {
    for (int m = 1; m <= 16; ++m) {
      cases.push_back({"pipedream", {p, p, m, {}}});
      cases.push_back({"pipedream_vertical", {p, p, m, {}}});
      if (m >= p - 1) cases.push_back({"pipedream_2bw", {p, p, m, {}}});
      for (int v = 1; m >= p - 1 && v <= 4; ++v) {
        cases.push_back({"wpipe", {p, v * p, m, {}}});
      }
    }
  }
  for (const auto& [replicas, ranks, stages, round] :
       std::vector<std::tuple<std::string, int, int, int>>{{"2,1,1", 4, 3, 2},
                                                           {"1,2,1", 4, 3, 2},
                                                           {"1,1,2", 4, 3, 2},
                                                           {"3,2", 5, 2, 6},
                                                           {"7,1", 8, 2, 7},
                                                           {"8,3,1", 12, 3, 24},
                                                           {"9,2,1", 12, 3, 18},
                                                           {"1,7,2", 10, 3, 14},
                                                           {"2,2", 4, 2, 2}}) {
    for (const char* extra : {"no", "yes"}) {
      cases.push_back({"pipedream",
                       {ranks,
                        stages,
                        round,
                        {{"replicas", replicas}, {"extra_round", extra}}}});
    }
    cases.push_back({"pipedream_2bw",
                     {ranks, stages, 2 * round, {{"replicas", replicas}}}});
  }
  return cases;
}

std::string TextOf(const Case& c) {
  std::string text = absl::StrCat(c.name, " p=", c.request.num_ranks,
                                  " stages=", c.request.num_stages,
                                  " m=", c.request.num_microbatches);
  for (const auto& [name, value] : c.request.parameters) {
    absl::StrAppend(&text, " ", name, "=", value);
  }
  return text;
}

int64_t UnitCost(const Action& action) {
  return action.op == Op::kForward ? 1 : 2;
}

// Enough repetitions for `delay` + 1 versions to be alive.
int Repetitions(const Schedule& s) {
  int periods = 2;
  for (const VersionRule& rule : s.versions) {
    periods = std::max(periods, rule.microbatches_per_update *
                                        (rule.delay + 2) / s.num_microbatches +
                                    2);
  }
  return periods;
}

TEST(ContinuousTest, EveryForwardAndBackwardIsThereOnceOnOneReplica) {
  for (const Case& c : Cases()) {
    const absl::StatusOr<Schedule> s = Generate(c.name, c.request);
    ASSERT_TRUE(s.ok()) << s.status();
    const RankLists run = Unroll(*s, 3)->ranks;
    std::map<std::pair<int, int>, int> forward_rank, backward_rank;
    int most = 0;
    for (int rank = 0; rank < s->num_ranks(); ++rank) {
      for (const Action& a : run[rank]) {
        auto& ranks = a.op == Op::kForward ? forward_rank : backward_rank;
        EXPECT_TRUE(
            ranks.insert({{a.stage.value(), a.microbatch.value()}, rank})
                .second);
        most = std::max(most, a.microbatch.value() + 1);
      }
    }
    EXPECT_EQ(forward_rank, backward_rank) << TextOf(c);
    EXPECT_EQ(forward_rank.size(), static_cast<size_t>(most) * s->num_stages());
    EXPECT_EQ(most % s->num_microbatches, 0);
  }
}

TEST(ContinuousTest, PeriodsAndDrainsReadNoVersionHeldAtZero) {
  for (const Case& c : Cases()) {
    const absl::StatusOr<Schedule> s = Generate(c.name, c.request);
    ASSERT_TRUE(s.ok()) << s.status();
    for (const RankLists* lists : {&s->period, &s->epilogue}) {
      for (const auto& actions : *lists) {
        for (const Action& a : actions) {
          const VersionRule& rule = s->versions[a.stage.value()];
          EXPECT_GE(a.microbatch.value() / rule.microbatches_per_update,
                    rule.delay)
              << TextOf(c);
        }
      }
    }
    for (const VersionRule& rule : s->versions) {
      EXPECT_EQ(s->num_microbatches % rule.microbatches_per_update, 0);
    }
  }
}

TEST(ContinuousTest, EveryVersionIsThereWhenItIsRead) {
  for (const Case& c : Cases()) {
    const absl::StatusOr<Schedule> s = Generate(c.name, c.request);
    ASSERT_TRUE(s.ok()) << s.status();
    EXPECT_TRUE(RunTime(*s, Unroll(*s, 3)->ranks, UnitCost).has_value())
        << TextOf(c);
  }
}

TEST(ContinuousTest, VersionsAliveAreDelayPlusOneAndOneBufferFewerFails) {
  for (const Case& c : Cases()) {
    const absl::StatusOr<Schedule> s = Generate(c.name, c.request);
    ASSERT_TRUE(s.ok()) << s.status();
    const RankLists run = Unroll(*s, Repetitions(*s))->ranks;
    for (int stage = 0; stage < s->num_stages(); ++stage) {
      for (const RankId rank : s->placement[stage]) {
        EXPECT_EQ(MaxVersionsAlive(*s, StageId(stage), run[rank.value()]),
                  s->versions[stage].delay + 1)
            << TextOf(c) << " stage " << stage;
      }
    }
  }
}

// A delay shorter by one: some list waits for a version that can only be made
// by a backward further down in it.
TEST(ContinuousTest, AShorterDelayDeadlocks) {
  for (const Case& c : Cases()) {
    const auto extra = c.request.parameters.find("extra_round");
    if (extra != c.request.parameters.end() && extra->second == "yes") continue;
    if (c.name == "pipedream_2bw" && c.request.num_ranks == 1) continue;
    absl::StatusOr<Schedule> s = Generate(c.name, c.request);
    ASSERT_TRUE(s.ok()) << s.status();
    if (s->versions[0].delay == 0) continue;
    --s->versions[0].delay;
    EXPECT_FALSE(RunTime(*s, Unroll(*s, 3)->ranks, UnitCost).has_value())
        << TextOf(c);
  }
}

double Bubble(const Schedule& s, int repetitions, int64_t f, int64_t b) {
  const auto cost = [&](const Action& action) {
    return action.op == Op::kForward ? f : b;
  };
  const RankLists run = Unroll(s, repetitions)->ranks;
  const auto time = RunTime(s, run, cost);
  if (!time) return -1;
  int64_t work = 0;
  for (const auto& actions : run) {
    for (const Action& action : actions) work += cost(action);
  }
  return 1 - static_cast<double>(work) / (s.num_ranks() * *time);
}

// n updates of m = p = 4, idle over total of the whole run, for any F : B.
TEST(ContinuousTest, BubblesOfWholeRunsAreTheGoldenNumbers) {
  struct Golden {
    const char* name;
    int stages;
    std::map<int, double> percent;
  };
  for (const Golden& golden :
       {Golden{"pipedream", 4, {{4, 15.8}, {16, 4.5}, {64, 1.2}}},
        Golden{"pipedream_vertical", 4, {{4, 15.8}, {16, 4.5}, {64, 1.2}}},
        Golden{"pipedream_2bw", 4, {{4, 15.8}, {16, 4.5}, {64, 1.2}}},
        Golden{"wpipe", 8, {{4, 8.6}, {16, 2.3}, {64, 0.6}}}}) {
    const absl::StatusOr<Schedule> s =
        Generate(golden.name, {4, golden.stages, 4});
    ASSERT_TRUE(s.ok()) << s.status();
    for (const auto& [updates, percent] : golden.percent) {
      for (const auto& [f, b] : {std::pair(1, 2), {1, 1}, {3, 1}}) {
        EXPECT_EQ(std::round(1000 * Bubble(*s, updates - 2, f, b)) / 10,
                  percent)
            << golden.name << " n=" << updates;
      }
    }
  }
}

// wpipe: no stall for m >= p; for m = p - 1 in each period only where one
// direction takes more than p - 1 times as long as the other.
TEST(ContinuousTest, WpipeStallsOnlyBelowPMicrobatches) {
  for (int p = 2; p <= 6; ++p) {
    for (int m = p - 1; m <= p + 1; ++m) {
      for (const auto& [f, b] :
           {std::pair(1, 1), {1, 2}, {1, 3}, {1, 4}, {2, 1}, {5, 1}}) {
        const auto cost = [f = f, b = b](const Action& action) -> int64_t {
          return action.op == Op::kForward ? f : b;
        };
        const absl::StatusOr<Schedule> s = Generate("wpipe", {p, 2 * p, m});
        ASSERT_TRUE(s.ok()) << s.status();
        const int64_t period = *RunTime(*s, Unroll(*s, 12)->ranks, cost) -
                               *RunTime(*s, Unroll(*s, 11)->ranks, cost);
        const int64_t work = int64_t{2} * m * (f + b);
        const bool stalls =
            m == p - 1 && (p - 1) * std::min(f, b) < std::max(f, b);
        EXPECT_EQ(period > work, stalls) << p << " " << m << " " << f << b;
        EXPECT_LE(2 * period, 3 * work);
      }
    }
  }
}

// Balanced 2-1-1: a forward that waits for its replica's round costs 4.5 units
// a microbatch; one more round of staleness brings back the 3 of no wait.
TEST(ContinuousTest, AnExtraRoundWinsBackTheThroughputOfReplicas) {
  for (const auto& [extra, halves] : {std::pair("no", 9), {"yes", 6}}) {
    const absl::StatusOr<Schedule> s =
        Generate("pipedream",
                 {4, 3, 2, {{"replicas", "2,1,1"}, {"extra_round", extra}}});
    ASSERT_TRUE(s.ok()) << s.status();
    const auto cost = [](const Action& action) {
      const int64_t units = action.op == Op::kForward ? 1 : 2;
      return action.stage == StageId(0) ? 2 * units : units;
    };
    const int64_t time = *RunTime(*s, Unroll(*s, 120)->ranks, cost) -
                         *RunTime(*s, Unroll(*s, 20)->ranks, cost);
    EXPECT_EQ(2 * time, halves * 100 * 2) << extra;
  }
}

}  // namespace
}  // namespace penstock
