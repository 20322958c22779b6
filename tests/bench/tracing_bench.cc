// What keeping the times of every action costs: a step with tracing on over one
// with it off, reports of sampled steps included.
//
//   bazel run //tests/bench:tracing_bench
//
// Two ranks on two threads of one process over UCX, 1F1B with 16 microbatches.
// An F and a B each occupy their core for 0.5 ms, or, for the worst case, not
// at all. Rounds with and without tracing alternate, and which comes first does
// too; each figure is the ratio of two neighbouring rounds of the slower rank's
// time a step, the median over all with the smallest and largest. Steps are
// numbered from 100 000 on, where one in 4096 is sampled: what a long job pays.
// Target: at most 1.005 with actions of 0.5 ms.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status_macros.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/transport/ucx/ucx_transport.h"
#include "tests/bench/chain_program.h"
#include "tests/bench/rank_threads.h"
#include "tests/bench/spin_backend.h"

namespace penstock {
namespace {

constexpr int kRanks = 2;
constexpr int kMicrobatches = 16;
constexpr int kWarmUpSteps = 5;
constexpr int kPairs = 21;
constexpr int64_t kFirstStep = 100'000;
constexpr int64_t kElements = 256;
constexpr double kTarget = 1.005;

struct Load {
  const char* name;
  int64_t action_nanos;
  int steps;
};

// Nanoseconds a step.
absl::StatusOr<double> MeasureRank(const Schedule& schedule, const Load& load,
                                   bool traces, RankId rank,
                                   std::unique_ptr<Transport> transport,
                                   const std::function<void()>& meet) {
  SpinBackend backend(load.action_nanos, kElements);
  RankProgram program = ChainProgram(schedule, rank);
  program.traces = traces;
  PENSTOCK_ASSIGN_OR_RETURN(const auto interpreter,
                            Interpreter::Make(std::move(program), &backend));
  interpreter->Attach(std::move(transport));
  int64_t start = 0;
  for (int step = 0; step < kWarmUpSteps + load.steps; ++step) {
    if (step == kWarmUpSteps) start = MonotonicNanos();
    PENSTOCK_RETURN_IF_ERROR(interpreter->RunStep(kFirstStep + step).status());
  }
  const int64_t nanos = MonotonicNanos() - start;
  meet();
  return static_cast<double>(nanos) / load.steps;
}

absl::StatusOr<double> RunRound(const Schedule& schedule, const Load& load,
                                bool traces) {
  std::vector<double> nanos(kRanks);
  PENSTOCK_RETURN_IF_ERROR(RunRankThreads(
      schedule, [] { return MakeUcxEndpoint({}); },
      [&](RankId rank, std::unique_ptr<Transport> transport,
          const std::function<void()>& meet) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(nanos[rank.value()],
                                  MeasureRank(schedule, load, traces, rank,
                                              std::move(transport), meet));
        return absl::OkStatus();
      }));
  return *std::max_element(nanos.begin(), nanos.end());
}

absl::Status Measure(const Schedule& schedule, const Load& load) {
  std::vector<double> ratios;
  for (int pair = 0; pair < kPairs; ++pair) {
    double nanos[2] = {0, 0};
    for (const bool traces : {pair % 2 == 0, pair % 2 != 0}) {
      PENSTOCK_ASSIGN_OR_RETURN(nanos[traces],
                                RunRound(schedule, load, traces));
    }
    ratios.push_back(nanos[1] / nanos[0]);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("%-15s on / off %.4f (%.4f..%.4f), target %.3f\n", load.name,
              ratios[ratios.size() / 2], ratios.front(), ratios.back(),
              kTarget);
  return absl::OkStatus();
}

absl::Status Main() {
  PENSTOCK_ASSIGN_OR_RETURN(
      const Schedule schedule,
      ChainSchedule("one_f_one_b", kRanks, kMicrobatches));
  std::printf("tracing, p = 2, 1F1B, m = %d, UCX, %u cores, %d pairs\n",
              kMicrobatches, std::thread::hardware_concurrency(), kPairs);
  for (const Load& load :
       {Load{"0.5 ms actions", 500'000, 20}, Load{"empty actions", 0, 500}}) {
    PENSTOCK_RETURN_IF_ERROR(Measure(schedule, load));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace penstock

int main() {
  const absl::Status status = penstock::Main();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
