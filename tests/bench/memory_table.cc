// What a plan expects its ranks to hold, beside what they hold.
//
//   bazel run -c opt //tests/bench:memory_table
//
// Models as the zoo has them on two ranks, as threads of this process, two
// steps of 8 microbatches each; bytes are counted, so other work on the machine
// changes nothing. For each rank: highest activations, weight queue, and peak
// with weights, gradients and optimizer state; expected over measured. Target:
// the peak within 5 %.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "stage_server/engine/engine.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

constexpr int kRanks = 2;
constexpr int kMicrobatches = 8;

struct Row {
  std::string preset;
  std::string schedule;
  std::string recompute = "never";
  std::string dtype = "float32";
};

Job JobOf(const Row& row) {
  Job job = TinyGpt("adamw");
  job.mutable_model()->set_preset(row.preset);
  job.mutable_model()->clear_overrides();
  job.mutable_data()->set_sequence_length(64);
  job.set_batch_size(2 * kMicrobatches);
  job.set_dtype(row.dtype);
  job.mutable_schedule()->set_name(row.schedule);
  job.mutable_schedule()->set_microbatches(kMicrobatches);
  job.mutable_schedule()->set_recompute(row.recompute);
  job.mutable_partition()->set_ranks(kRanks);
  job.mutable_partition()->set_stages(row.schedule == "zbv" ? 2 * kRanks
                                                            : kRanks);
  return job;
}

double Ratio(int64_t expected, int64_t measured) {
  if (measured == 0) return expected == 0 ? 1 : HUGE_VAL;
  return static_cast<double>(expected) / static_cast<double>(measured);
}

// By how much the peaks of the row's ranks are off at most.
double Print(const Row& row) {
  const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(row));
  std::vector<EngineUse> uses;
  absl::Status status = built.status();
  if (status.ok()) {
    status = TrainInThreads(built->plan, 2, {.uses = &uses}).status();
  }
  if (!status.ok()) {
    std::printf("%s %s: %s\n", row.preset.c_str(), row.schedule.c_str(),
                std::string(status.message()).c_str());
    std::exit(1);
  }
  double worst = 0;
  for (int rank = 0; rank < kRanks; ++rank) {
    const MemoryUse& expected = built->plan.predicted_memory(rank);
    const MemoryUse& measured = uses[rank].memory;
    const double peak = Ratio(expected.peak_bytes(), measured.peak_bytes());
    std::printf(
        "%-9s %-12s %-7s %-9s %4d %12ld %6.3f %12ld %6.3f %12ld %6.3f\n",
        row.preset.c_str(), row.schedule.c_str(), row.recompute.c_str(),
        row.dtype.c_str(), rank, static_cast<long>(measured.activation_bytes()),
        Ratio(expected.activation_bytes(), measured.activation_bytes()),
        static_cast<long>(measured.weight_queue_bytes()),
        Ratio(expected.weight_queue_bytes(), measured.weight_queue_bytes()),
        static_cast<long>(measured.peak_bytes()), peak);
    worst = std::max(worst, std::abs(peak - 1));
  }
  return worst;
}

int Main() {
  std::printf("%-9s %-12s %-7s %-9s %4s %12s %6s %12s %6s %12s %6s\n", "model",
              "schedule", "again", "dtype", "rank", "activations", "ratio",
              "w queue", "ratio", "peak", "ratio");
  double worst = 0;
  for (const char* preset : {"mlp", "gpt-nano", "gpt-mini"}) {
    for (const char* schedule : {"gpipe", "one_f_one_b", "zb_h1", "zbv"}) {
      worst = std::max(worst, Print({preset, schedule}));
    }
    worst = std::max(worst, Print({preset, "gpipe", "always"}));
    worst = std::max(worst, Print({preset, "one_f_one_b", "always"}));
    worst = std::max(worst, Print({preset, "zb_h1", "never", "bfloat16"}));
  }
  std::printf("peak off by at most %.1f %%\n", 100 * worst);
  return 0;
}

}  // namespace
}  // namespace penstock

int main() { return penstock::Main(); }
