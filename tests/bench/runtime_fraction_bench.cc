// Runtime fraction: critical path of the measured actions / measured step time,
// on emulated devices over UCX, 512 KiB on every edge.
//
//   bazel run //tests/bench:runtime_fraction_bench              the targets
//   bazel run //tests/bench:runtime_fraction_bench -- --table   all schedules
//
// The critical path is a simulation of the same lists with each compute
// action's measured time and free communication, so what is missing to 1 is the
// transport, the interpreter and the norm agreement together. Ranks are threads
// of one process; each figure is one step's, the median over rounds with the
// smallest and largest; rounds of the cases are interleaved. Targets: 0.98 with
// actions of 5 ms and 0.90 with 0.5 ms for p = 2 and p = 8, and 0.95 with 5 ms
// for p = 16. The table (p = 8, actions of 5 ms) also has the step time that
// the simulator predicts from the costs alone; its target is 5 %.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/simulator/simulate.h"
#include "schedule/simulator/summary.h"
#include "stage_server/engine/emulated_backend.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/transport/ucx/ucx_transport.h"
#include "tests/bench/chain_program.h"
#include "tests/bench/rank_threads.h"

namespace penstock {
namespace {

constexpr int kWarmUpSteps = 1;
constexpr int64_t kEdgeElements = 128 * 1024;
constexpr int64_t kWeightBytes = 64 * 1024;

struct Case {
  std::string generator = "one_f_one_b";
  int num_ranks = 2;
  int num_microbatches = 8;
  // Of F, I and W; B takes twice as long.
  double action_seconds = 0.005;
  double target = 0.98;
  int steps = 5;

  Schedule schedule;
  CostModel costs;
  std::vector<double> fractions;
  std::vector<double> step_seconds;
};

absl::Status Prepare(Case& one) {
  PENSTOCK_ASSIGN_OR_RETURN(
      one.schedule,
      ChainSchedule(one.generator, one.num_ranks, one.num_microbatches));
  const StageCost cost = {.forward = one.action_seconds,
                          .input_gradient = one.action_seconds,
                          .weight_gradient = one.action_seconds};
  one.costs.stages.assign(one.schedule.num_stages(), cost);
  return absl::OkStatus();
}

struct RankSteps {
  std::vector<double> step_seconds;
  // By step and position in the list; negative for what is not computed.
  std::vector<std::vector<double>> action_seconds;
};

EmulatedRank RankOf(const Case& one, RankId rank) {
  const double seconds = one.action_seconds;
  const EmulatedStage stage = {.forward = seconds,
                               .input_gradient = seconds,
                               .weight_gradient = seconds,
                               .backward = 2 * seconds,
                               .recompute = seconds,
                               .parameter_bytes = kWeightBytes};
  TensorSpec tensor;
  tensor.set_dtype(DTYPE_FLOAT32);
  tensor.add_shape(kEdgeElements);
  return {rank, one.schedule,
          std::vector<EmulatedStage>(one.schedule.num_stages(), stage),
          std::vector<TensorSpec>(one.schedule.edges.size(), tensor),
          one.num_microbatches};
}

absl::StatusOr<RankSteps> MeasureRank(const Case& one, RankId rank,
                                      std::unique_ptr<Transport> transport,
                                      const std::function<void()>& meet) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto backend,
                            EmulatedBackend::Make(RankOf(one, rank)));
  PENSTOCK_ASSIGN_OR_RETURN(
      const auto interpreter,
      Interpreter::Make(ChainProgram(one.schedule, rank), backend.get()));
  interpreter->Attach(std::move(transport));
  const std::vector<Action>& actions = one.schedule.ranks[rank.value()];
  RankSteps measured;
  for (int step = 1; step <= kWarmUpSteps + one.steps; ++step) {
    PENSTOCK_ASSIGN_OR_RETURN(const StepTiming timing,
                              interpreter->RunStep(step));
    if (step <= kWarmUpSteps) continue;
    measured.step_seconds.push_back(1e-9 * timing.step_nanos);
    std::vector<double>& seconds =
        measured.action_seconds.emplace_back(actions.size(), -1);
    for (const ActionRecord& record :
         interpreter->trace().Latest(static_cast<int>(actions.size()))) {
      if (!IsCompute(actions[record.action].op)) continue;
      seconds[record.action] = 1e-9 * (record.end_nanos - record.start_nanos);
    }
  }
  meet();
  return measured;
}

// Appends one fraction and one step time a step.
absl::Status RunRound(Case& one) {
  std::vector<RankSteps> ranks(one.num_ranks);
  PENSTOCK_RETURN_IF_ERROR(RunRankThreads(
      one.schedule, [] { return MakeUcxEndpoint({}); },
      [&](RankId rank, std::unique_ptr<Transport> transport,
          const std::function<void()>& meet) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(
            ranks[rank.value()],
            MeasureRank(one, rank, std::move(transport), meet));
        return absl::OkStatus();
      }));
  for (int step = 0; step < one.steps; ++step) {
    CostModel measured = one.costs;
    double step_seconds = 0;
    for (const RankSteps& rank : ranks) {
      measured.action_times.push_back(rank.action_seconds[step]);
      step_seconds = std::max(step_seconds, rank.step_seconds[step]);
    }
    PENSTOCK_ASSIGN_OR_RETURN(const Timeline path,
                              Simulate(one.schedule, measured));
    one.fractions.push_back(Summarise(one.schedule, path).makespan /
                            step_seconds);
    one.step_seconds.push_back(step_seconds);
  }
  return absl::OkStatus();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string Spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  char text[64];
  std::snprintf(text, sizeof(text), "%.3f (%.3f..%.3f)",
                values[values.size() / 2], values.front(), values.back());
  return text;
}

absl::Status RunAll(std::vector<Case>& cases, int rounds) {
  for (Case& one : cases) PENSTOCK_RETURN_IF_ERROR(Prepare(one));
  for (int round = 0; round < rounds; ++round) {
    for (Case& one : cases) PENSTOCK_RETURN_IF_ERROR(RunRound(one));
  }
  return absl::OkStatus();
}

absl::Status Targets() {
  std::vector<Case> cases = {
      {.num_ranks = 2},
      {.num_ranks = 2, .action_seconds = 0.0005, .target = 0.90},
      {.num_ranks = 8, .num_microbatches = 16},
      {.num_ranks = 8,
       .num_microbatches = 16,
       .action_seconds = 0.0005,
       .target = 0.90},
      {.num_ranks = 16, .num_microbatches = 32, .target = 0.95},
  };
  PENSTOCK_RETURN_IF_ERROR(RunAll(cases, 7));
  for (const Case& one : cases) {
    std::printf("p = %2d, m = %2d, 1F1B, actions of %.1f ms: %s, target %.2f\n",
                one.num_ranks, one.num_microbatches, 1e3 * one.action_seconds,
                Spread(one.fractions).c_str(), one.target);
  }
  return absl::OkStatus();
}

absl::Status Table() {
  std::vector<Case> cases;
  for (const GeneratorInfo& info : Generators()) {
    if (info.update_policy != "flush") continue;
    cases.push_back({.generator = info.name,
                     .num_ranks = 8,
                     .num_microbatches = 16,
                     .steps = 2});
  }
  PENSTOCK_RETURN_IF_ERROR(RunAll(cases, 3));
  std::printf("%-16s %10s %10s %10s   %s\n", "schedule", "simulated",
              "measured", "difference", "runtime fraction");
  for (const Case& one : cases) {
    PENSTOCK_ASSIGN_OR_RETURN(const Timeline predicted,
                              Simulate(one.schedule, one.costs));
    const double makespan = Summarise(one.schedule, predicted).makespan;
    const double measured = Median(one.step_seconds);
    std::printf("%-16s %8.1fms %8.1fms %9.1f%%   %s\n", one.generator.c_str(),
                1e3 * makespan, 1e3 * measured, 1e2 * (measured / makespan - 1),
                Spread(one.fractions).c_str());
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  const bool table = argc > 1 && absl::string_view(argv[1]) == "--table";
  std::printf("emulated devices, UCX, %u cores\n",
              std::thread::hardware_concurrency());
  const absl::Status status = table ? penstock::Table() : penstock::Targets();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
