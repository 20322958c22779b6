// The numbers that docs and literature give of the schedules, by simulating
// their lists: makespans, bubbles, microbatches in flight.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using Parameters = std::map<std::string, std::string>;

constexpr double kNear = 1e-9;
constexpr UniformTimes kOneAndTwo{
    .forward = 1, .input_gradient = 1, .weight_gradient = 1};

TimelineSummary Uniform(const std::string& generator, int p, int m, int v,
                        const UniformTimes& times,
                        const Parameters& parameters = {}) {
  const Schedule schedule = OverChain(generator, p, m, v, parameters);
  return SummaryOf(schedule, UniformCosts(schedule, times));
}

struct MakespanCase {
  const char* generator;
  int v;
  Parameters parameters;
  // At m = 4, 8, 16, 32; 0: not given.
  double makespans[4];
};

class MakespanTest : public ::testing::TestWithParam<MakespanCase> {};

TEST_P(MakespanTest, AtFourRanksIsAsPublished) {
  const MakespanCase& given = GetParam();
  for (int i = 0; i < 4; ++i) {
    if (given.makespans[i] == 0) continue;
    EXPECT_NEAR(Uniform(given.generator, 4, 4 << i, given.v, kOneAndTwo,
                        given.parameters)
                    .makespan,
                given.makespans[i], kNear)
        << given.generator << " m=" << (4 << i);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Flush, MakespanTest,
    ::testing::Values(
        MakespanCase{"gpipe", 1, {}, {21, 33, 57, 105}},
        MakespanCase{"gpipe", 1, {{"order", "lifo"}}, {21, 33, 57, 105}},
        MakespanCase{"one_f_one_b", 1, {}, {21, 33, 57, 105}},
        MakespanCase{"one_f_one_b", 1, {{"warmup", "pb"}}, {21, 33, 57, 105}},
        MakespanCase{"gpipe_grouped", 2, {}, {16.5, 28.5, 52.5, 100.5}},
        MakespanCase{"interleaved", 2, {}, {16.5, 28.5, 52.5, 100.5}},
        MakespanCase{"chimera", 1, {}, {16, 30, 58, 114}},
        MakespanCase{"chimera", 1, {{"scale", "doubling"}}, {0, 28, 52, 100}}));

TEST(SlowLinkTest, LateWarmUpHidesThem) {
  const std::map<double, std::pair<double, double>> published = {
      {0, {57, 57}}, {0.25, {64, 58.5}}, {0.5, {71, 60}}, {1, {85, 63}}};
  for (const auto& [hop, makespans] : published) {
    const UniformTimes times{.hop = hop};
    EXPECT_NEAR(Uniform("one_f_one_b", 4, 16, 1, times).makespan,
                makespans.first, kNear);
    EXPECT_NEAR(
        Uniform("one_f_one_b", 4, 16, 1, times, {{"warmup", "pb"}}).makespan,
        makespans.second, kNear);
  }
}

TEST(ChimeraTest, DoublingKeepsTwoMicrobatchesOfEveryRankInFlight) {
  const TimelineSummary summary =
      Uniform("chimera", 4, 16, 1, kOneAndTwo, {{"scale", "doubling"}});
  for (const RankSummary& rank : summary.ranks) {
    EXPECT_LE(rank.peak_in_flight, 8);
  }
}

// p = 8, m = 32; the bubble in percent of the total.
struct BubbleCase {
  const char* generator;
  int v;
  // Most and least microbatches in flight over the ranks; 0: not given.
  double most, least;
  // c = 0; hop .1; tI = 1.3 and tW = .8; both.
  double percent[4];
  // Whether these are upper limits.
  bool at_most;
};

class BubbleTableTest : public ::testing::TestWithParam<BubbleCase> {};

TEST_P(BubbleTableTest, EightRanksAndThirtyTwoMicrobatches) {
  const BubbleCase& row = GetParam();
  const UniformTimes columns[] = {
      {.hop = 0},
      {.hop = 0.1},
      {.input_gradient = 1.3, .weight_gradient = 0.8, .hop = 0},
      {.input_gradient = 1.3, .weight_gradient = 0.8, .hop = 0.1}};
  for (int i = 0; i < 4; ++i) {
    const TimelineSummary summary =
        Uniform(row.generator, 8, 32, row.v, columns[i]);
    // The table has one decimal, limits have two.
    if (row.at_most) {
      EXPECT_LE(100 * summary.sync_bubble, row.percent[i] + 0.005)
          << row.generator << ", column " << i;
    } else {
      EXPECT_NEAR(100 * summary.sync_bubble, row.percent[i], 0.05)
          << row.generator << ", column " << i;
    }
    double most = 0, least = 1e9;
    for (const RankSummary& rank : summary.ranks) {
      most = std::max(most, rank.peak_in_flight);
      least = std::min(least, rank.peak_in_flight);
    }
    EXPECT_NEAR(most, row.most, kNear) << row.generator;
    if (row.least > 0) {
      EXPECT_NEAR(least, row.least, kNear) << row.generator;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BubbleTableTest,
    ::testing::Values(
        BubbleCase{"one_f_one_b", 1, 8, 1, {17.9, 22.5, 17.9, 22.3}, false},
        BubbleCase{"interleaved", 2, 11.5, 0, {9.9, 12.3, 9.9, 12.3}, false},
        BubbleCase{"zb_h1", 1, 8, 0, {6.8, 9.3, 9.6, 11.8}, false},
        BubbleCase{"zb_h2", 1, 15, 0, {6.8, 7.4, 6.6, 7.2}, false},
        BubbleCase{"interleaved_zb", 2, 8, 0, {3.5, 6.9, 5.0, 8.2}, false},
        BubbleCase{"zbv", 2, 8, 0, {3.5, 6.6, 4.4, 7.3}, false},
        BubbleCase{"dual_pipe_v", 2, 8.5, 0, {3.5, 7.0, 5.5, 9.2}, false},
        BubbleCase{"v_half", 2, 5, 0, {8.13, 11.68, 11.23, 16.25}, true},
        BubbleCase{"v_min", 2, 4, 0, {12.3, 25.2, 29.0, 37.2}, true}),
    [](const auto& info) { return std::string(info.param.generator); });

// The bubble, at every p <= 16 and m <= 64 for which `holds`.
template <typename Formula, typename Holds>
void ExpectBubble(const std::string& generator, int v,
                  const UniformTimes& times, Formula formula, Holds holds) {
  for (int p = 1; p <= 16; ++p) {
    for (int m = 1; m <= 64; ++m) {
      if (!holds(p, m)) continue;
      ASSERT_NEAR(Uniform(generator, p, m, v, times).sync_bubble, formula(p, m),
                  kNear)
          << generator << " p=" << p << " m=" << m << " v=" << v;
    }
  }
}

bool Always(int p, int m) { return true; }

TEST(ClosedFormTest, NaiveBubble) {
  ExpectBubble(
      "naive", 1, kOneAndTwo, [](double p, double m) { return (p - 1) / p; },
      Always);
}

TEST(ClosedFormTest, GpipeAndOneFOneBBubble) {
  for (const char* generator : {"gpipe", "one_f_one_b"}) {
    ExpectBubble(
        generator, 1, kOneAndTwo,
        [](double p, double m) { return (p - 1) / (m + p - 1); }, Always);
  }
}

TEST(ClosedFormTest, InterleavedBubble) {
  for (const int v : {1, 2, 3, 4}) {
    ExpectBubble(
        "interleaved", v, kOneAndTwo,
        [v](double p, double m) { return (p - 1) / (v * m + p - 1); },
        [](int p, int m) { return m % p == 0; });
  }
}

TEST(ClosedFormTest, GroupedBubble) {
  ExpectBubble(
      "gpipe_grouped", 2, kOneAndTwo,
      [](double p, double m) { return (p - 1) / (2 * m + p - 1); },
      [](int p, int m) { return m >= p; });
}

TEST(ClosedFormTest, ChimeraBubbleWhereForwardAndBackwardTakeTheSameTime) {
  ExpectBubble(
      "chimera", 1, {.input_gradient = 0.5, .weight_gradient = 0.5},
      [](double p, double m) { return (p - 2) / (2 * m + p - 2); },
      [](int p, int m) { return p % 2 == 0 && m == p; });
}

// Of the whole makespan: (p - 1) x `per_hop` idle on each rank.
TEST(ClosedFormTest, ZeroBubbleIdleTimes) {
  const UniformTimes times{
      .forward = 1, .input_gradient = 1.1, .weight_gradient = 0.9};
  for (int p = 1; p <= 16; ++p) {
    for (const int m : {p, 2 * p, 64}) {
      const TimelineSummary h1 = Uniform("zb_h1", p, m, 1, times);
      if (m >= p) {
        EXPECT_NEAR(h1.makespan - 3 * m, (p - 1) * 1.2, kNear) << p << " " << m;
      }
      if (m < 2 * p - 1) continue;
      const TimelineSummary h2 = Uniform("zb_h2", p, m, 1, times);
      EXPECT_NEAR(h2.makespan - 3 * m, p - 1, kNear) << p << " " << m;
      // Of the rank with the most, the first.
      EXPECT_NEAR(h2.ranks[0].span_idle, (p - 1) * 0.3, kNear) << p << " " << m;
      EXPECT_NEAR(Uniform("zbv", p, m, 2, {}).makespan - 3 * m, (p - 1) * 0.5,
                  kNear)
          << p << " " << m;
    }
    for (int m = p; m <= 64; m += p) {
      EXPECT_NEAR(Uniform("interleaved_zb", p, m, 2, times).makespan - 3 * m,
                  (p - 1) * 1.2 / 2, kNear)
          << p << " " << m;
    }
  }
}

}  // namespace
}  // namespace penstock
