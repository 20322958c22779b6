#include "schedule/planner/auto_schedule.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/chain.h"
#include "schedule/simulator/report.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

double Draw(uint64_t seed, uint64_t what, double least, double most) {
  const double unit = static_cast<double>(RandomKey(seed, {what}) >> 11) /
                      static_cast<double>(uint64_t{1} << 53);
  return least + unit * (most - least);
}

// A model of four layers a rank, which is cut evenly by their number.
struct Setting {
  int ranks = 0;
  int microbatches = 0;
  std::vector<double> forward, input_gradient, weight_gradient;
  std::vector<int64_t> bytes;
  double hop = 0;
  double overhead = 0;
};

Setting RandomSetting(uint64_t seed) {
  Setting setting{
      .ranks = 2 + static_cast<int>(Draw(seed, 1, 0, 6.999)),
      .microbatches = 1 + static_cast<int>(Draw(seed, 2, 0, 23.999))};
  const double spread = Draw(seed, 3, 0, 0.8);
  const double tilt = Draw(seed, 4, 0.5, 1.5);
  for (int i = 0; i < 4 * setting.ranks; ++i) {
    const uint64_t layer = 100 + 10 * i;
    const auto time = [&](int what) {
      return 0.25 * Draw(seed, layer + what, 1 - spread, 1 + spread);
    };
    setting.forward.push_back(time(0));
    setting.input_gradient.push_back(tilt * time(1));
    setting.weight_gradient.push_back((2 - tilt) * time(2));
    setting.bytes.push_back(std::llround(1000 * time(3)));
  }
  setting.hop = Draw(seed, 5, 0, 1) < 0.3 ? 0 : Draw(seed, 6, 0, 0.5);
  setting.overhead = Draw(seed, 7, 0, 0.02);
  return setting;
}

CostModel CostsOf(const Setting& setting, const Schedule& schedule) {
  CostModel costs;
  const int layers = static_cast<int>(setting.forward.size());
  const int stages = schedule.num_stages();
  for (int s = 0; s < stages; ++s) {
    StageCost stage;
    for (int i = layers * s / stages; i < layers * (s + 1) / stages; ++i) {
      stage.forward += setting.forward[i];
      stage.input_gradient += setting.input_gradient[i];
      stage.weight_gradient += setting.weight_gradient[i];
      stage.saved_bytes += setting.bytes[i];
    }
    stage.pending_weight_bytes = stage.saved_bytes / 2;
    costs.stages.push_back(stage);
  }
  costs.link = {.latency = setting.hop, .serialised = false};
  costs.action_overhead = setting.overhead;
  return costs;
}

AutoRequest RequestOf(const Setting& setting) {
  return {.num_ranks = setting.ranks,
          .num_microbatches = setting.microbatches,
          .edges = ChainEdges,
          .costs = [&setting](
                       const Schedule& schedule) -> absl::StatusOr<CostModel> {
            return CostsOf(setting, schedule);
          }};
}

// A cap that lets some of the schedules in: none, or a multiple of what one
// microbatch of all layers of the fullest rank needs.
MemoryCap RandomCap(uint64_t seed, const Setting& setting) {
  MemoryCap cap;
  const double kind = Draw(seed, 8, 0, 3);
  if (kind < 1) return cap;
  const double microbatches = Draw(seed, 9, 1, setting.ranks + 1);
  if (kind < 2) {
    cap.in_flight = microbatches;
  } else {
    cap.bytes = std::llround(
        microbatches * 4 *
        *std::max_element(setting.bytes.begin(), setting.bytes.end()));
  }
  return cap;
}

bool IsOurs(const AutoCandidate& candidate) {
  return candidate.name.rfind("auto", 0) == 0;
}

// The best fixed schedule that fits; negative: none does.
double BestFixed(const AutoChoice& choice) {
  for (const AutoCandidate& candidate : choice.candidates) {
    if (!IsOurs(candidate) && candidate.fits) return candidate.makespan;
  }
  return -1;
}

void PrintGain(const char* what, std::vector<double> ratios) {
  ASSERT_FALSE(ratios.empty());
  std::sort(ratios.begin(), ratios.end());
  double sum_of_logs = 0;
  int better = 0;
  for (const double ratio : ratios) {
    sum_of_logs += std::log(ratio);
    better += ratio > 1 + 1e-9;
  }
  EXPECT_GT(2 * better, static_cast<int>(ratios.size())) << what;
  std::printf(
      "%s: better in %d of %d; throughput %+.1f %% in the median, %+.1f %% in "
      "the geometric mean, %+.1f %% at most\n",
      what, better, static_cast<int>(ratios.size()),
      100 * (ratios[ratios.size() / 2] - 1),
      100 * (std::exp(sum_of_logs / ratios.size()) - 1),
      100 * (ratios.back() - 1));
}

TEST(AutoScheduleTest, IsNeverWorseThanTheBestFixedScheduleUnderTheCap) {
  constexpr int kSettings = 500;
  // How many times as long the best fixed schedule takes: without a cap, and
  // with one.
  std::vector<double> ratios[2];
  int only = 0;
  for (uint64_t seed = 0; seed < kSettings; ++seed) {
    const Setting setting = RandomSetting(seed);
    AutoRequest request = RequestOf(setting);
    request.cap = RandomCap(seed, setting);
    const absl::StatusOr<AutoChoice> choice = AutoSchedule(request);
    if (!choice.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(choice.status()))
          << choice.status();
      continue;
    }
    const CostModel costs = CostsOf(setting, choice->schedule);
    const absl::StatusOr<SimulationReport> report =
        SimulateAndReport(choice->schedule, costs);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->summary.makespan, choice->makespan);
    for (size_t rank = 0; rank < report->peak_bytes.size(); ++rank) {
      if (request.cap.bytes) {
        EXPECT_LE(report->peak_bytes[rank], *request.cap.bytes) << seed;
      }
      if (request.cap.in_flight) {
        EXPECT_LE(report->summary.ranks[rank].peak_in_flight,
                  *request.cap.in_flight + 1e-9)
            << seed;
      }
    }
    const double fixed = BestFixed(*choice);
    if (fixed < 0) {
      ++only;
      continue;
    }
    EXPECT_LE(choice->makespan, fixed) << seed;
    ratios[request.cap.in_flight || request.cap.bytes].push_back(
        fixed / choice->makespan);
  }
  EXPECT_GT(ratios[0].size() + ratios[1].size(), kSettings / 2);
  std::printf("%d settings, in %d of which nothing fixed fits\n", kSettings,
              only);
  PrintGain("no cap", ratios[0]);
  PrintGain("a cap", ratios[1]);
}

TEST(AutoScheduleTest, WhatItMakesIsSound) {
  for (uint64_t seed = 1000; seed < 1050; ++seed) {
    const Setting setting = RandomSetting(seed);
    const absl::StatusOr<AutoChoice> choice = AutoSchedule(RequestOf(setting));
    ASSERT_TRUE(choice.ok()) << choice.status();
    const absl::Status sound = SoundOrError(
        choice->schedule, Verify(choice->schedule, {.lowered = false}));
    EXPECT_TRUE(sound.ok()) << sound;
  }
}

TEST(AutoScheduleTest, CapThatNothingFitsUnderSaysWhatTheLeastNeeds) {
  const Setting setting = RandomSetting(7);
  AutoRequest request = RequestOf(setting);
  request.cap.bytes = 10;
  const absl::Status status = AutoSchedule(request).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("microbatches in flight"));
}

TEST(AutoScheduleTest, CountsBelowOneAreRefused) {
  const Setting setting = RandomSetting(7);
  AutoRequest request = RequestOf(setting);
  request.num_microbatches = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(AutoSchedule(request).status()));
}

}  // namespace
}  // namespace penstock
