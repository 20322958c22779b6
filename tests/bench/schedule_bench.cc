// What schedules of growing size cost: generate, lower, verify, simulate.
//
//   bazel run //tests/bench:schedule_bench [-- LARGEST]
//
// Interleaved, p = 64 and v = 4, with m so that the compute actions (F and B,
// 2 p v m of them) are about 10^3 to LARGEST (10^7), one row a size: seconds of
// this one thread on a core (not of the wall clock, which other programs
// stretch), and the most memory of the process so far. "simulate" is
// of the generated lists, "lowered" of the lists with communication, N and U.
// Targets: m = 512 (262,144 actions) generate + lower + verify <= 1.5 s,
// simulate <= 1 s, < 1 GiB; time linear in the actions; 10^7 <= 60 s and 8 GiB.

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_updates.h"
#include "schedule/simulator/report.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

rusage UsageNow() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

double PeakMebibytes() { return UsageNow().ru_maxrss / 1024.0; }

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * time.tv_usec;
}

// Seconds on a core since it was made or last asked.
class Stopwatch {
 public:
  double Lap() {
    const double now = Now();
    const double lap = now - then_;
    then_ = now;
    return lap;
  }

 private:
  static double Now() {
    const rusage usage = UsageNow();
    return SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime);
  }

  double then_ = Now();
};

absl::Status Measure(int ranks, int chunks, int microbatches) {
  Stopwatch stopwatch;
  PENSTOCK_ASSIGN_OR_RETURN(
      Schedule schedule,
      Generate("interleaved", {.num_ranks = ranks,
                               .num_stages = ranks * chunks,
                               .num_microbatches = microbatches}));
  const double generate = stopwatch.Lap();
  schedule.edges = ChainEdges(schedule.num_stages());
  int64_t actions = 0;
  for (const auto& list : schedule.ranks) {
    actions += static_cast<int64_t>(list.size());
  }
  const CostModel costs = UniformCosts(schedule, {});
  stopwatch.Lap();
  double simulate = 0;
  {
    PENSTOCK_ASSIGN_OR_RETURN(const SimulationReport report,
                              SimulateAndReport(schedule, costs));
    simulate = stopwatch.Lap();
  }
  stopwatch.Lap();
  PENSTOCK_ASSIGN_OR_RETURN(schedule, InsertUpdates(std::move(schedule)));
  PENSTOCK_ASSIGN_OR_RETURN(schedule, InsertCommunication(std::move(schedule)));
  const double lower = stopwatch.Lap();
  PENSTOCK_RETURN_IF_ERROR(SoundOrError(schedule, Verify(schedule)));
  const double verify = stopwatch.Lap();
  PENSTOCK_ASSIGN_OR_RETURN(const SimulationReport lowered,
                            SimulateAndReport(schedule, costs));
  std::printf("%10lld %7d %10.4f %10.4f %10.4f %10.4f %10.4f %9.0f\n",
              static_cast<long long>(actions), microbatches, generate, lower,
              verify, simulate, stopwatch.Lap(), PeakMebibytes());
  std::fflush(stdout);
  return absl::OkStatus();
}

int Run(int64_t largest) {
  constexpr int kRanks = 64, kChunks = 4;
  std::printf("interleaved, p = %d, v = %d\n", kRanks, kChunks);
  std::printf("%10s %7s %10s %10s %10s %10s %10s %9s\n", "actions", "m",
              "generate s", "lower s", "verify s", "simulate s", "lowered s",
              "peak MiB");
  for (const int64_t size :
       {int64_t{1'000}, int64_t{10'000}, int64_t{100'000}, int64_t{262'144},
        int64_t{1'000'000}, int64_t{10'000'000}}) {
    if (size > largest) break;
    const auto microbatches =
        static_cast<int>(std::max<int64_t>(1, size / (2 * kRanks * kChunks)));
    const absl::Status status = Measure(kRanks, kChunks, microbatches);
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  return penstock::Run(argc > 1 ? std::atoll(argv[1]) : 10'000'000);
}
