// Runtime fraction: critical path of the measured actions / measured step time,
// on emulated devices over UCX. Edges carry 512 KiB for actions of 5 ms, and as
// much less for shorter ones: a smaller microbatch has both.
//
//   bazel run //tests/bench:runtime_fraction_bench              the targets
//   bazel run //tests/bench:runtime_fraction_bench -- --table   all schedules
//
// As a job's end summary has it (schedule/simulator/measured_run.h): the lists
// simulated with every compute action and every message as long as it took in
// that step, over the step. What is missing to 1 is the interpreter, waits that
// the lists do not ask for, and cores that several ranks want. Beside it the
// same with free communication, so that the transport counts as lost too.
//
// Ranks are threads of one process, each with its own UCX endpoint; as in a
// stage server nobody spins where there are more ranks than cores. Each figure
// is one step's, the median over rounds with the smallest and largest; rounds
// of the cases are interleaved. Targets: 0.98 with actions of 5 ms and 0.90
// with 0.5 ms for p = 2 and p = 8, and 0.95 with 5 ms for p = 16. The table
// (p = 8, actions of 5 ms) also has the step time that the simulator predicts
// from the costs alone; its target is 5 %.

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
#include "schedule/simulator/measured_run.h"
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
// Float32, by second of an action: 512 KiB for 5 ms.
constexpr double kElementsPerSecond = 128 * 1024 / 0.005;
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
  std::vector<double> free_fractions;
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

int64_t EdgeElements(const Case& one) {
  return static_cast<int64_t>(one.action_seconds * kElementsPerSecond);
}

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
  tensor.add_shape(EdgeElements(one));
  return {rank, one.schedule,
          std::vector<EmulatedStage>(one.schedule.num_stages(), stage),
          std::vector<TensorSpec>(one.schedule.edges.size(), tensor),
          one.num_microbatches};
}

absl::StatusOr<std::vector<StepTrace>> MeasureRank(
    const Case& one, RankId rank, std::unique_ptr<Transport> transport,
    const std::function<void()>& meet) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto backend,
                            EmulatedBackend::Make(RankOf(one, rank)));
  PENSTOCK_ASSIGN_OR_RETURN(
      const auto interpreter,
      Interpreter::Make(ChainProgram(one.schedule, rank), backend.get()));
  interpreter->Attach(std::move(transport));
  std::vector<StepTrace> traces;
  for (int step = 1; step <= kWarmUpSteps + one.steps; ++step) {
    PENSTOCK_ASSIGN_OR_RETURN(const StepTiming timing,
                              interpreter->RunStep(step));
    if (step > kWarmUpSteps) traces.push_back(timing.trace.value());
  }
  meet();
  return traces;
}

// The lists' time with each compute action as long as it was, messages free.
absl::StatusOr<double> FreePathSeconds(const Case& one,
                                       const std::vector<StepTrace>& ranks) {
  CostModel measured = one.costs;
  for (int rank = 0; rank < one.num_ranks; ++rank) {
    const std::vector<Action>& actions = one.schedule.ranks[rank];
    std::vector<double>& seconds =
        measured.action_times.emplace_back(actions.size(), -1);
    for (size_t i = 0; i < actions.size(); ++i) {
      if (!IsCompute(actions[i].op)) continue;
      const int at = static_cast<int>(i);
      seconds[i] = 1e-9 * (ranks[rank].ended(at) - ranks[rank].started(at));
    }
  }
  PENSTOCK_ASSIGN_OR_RETURN(const Timeline path,
                            Simulate(one.schedule, measured));
  return Summarise(one.schedule, path).makespan;
}

UcxOptions OptionsOf(const Case& one) {
  UcxOptions options;
  options.spin = SpinFor(one.num_ranks, std::thread::hardware_concurrency());
  return options;
}

// Appends one figure of each kind a step.
absl::Status RunRound(Case& one) {
  std::vector<std::vector<StepTrace>> of_ranks(one.num_ranks);
  PENSTOCK_RETURN_IF_ERROR(RunRankThreads(
      one.schedule, [&one] { return MakeUcxEndpoint(OptionsOf(one)); },
      [&](RankId rank, std::unique_ptr<Transport> transport,
          const std::function<void()>& meet) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(
            of_ranks[rank.value()],
            MeasureRank(one, rank, std::move(transport), meet));
        return absl::OkStatus();
      }));
  const std::vector<int64_t> edge_bytes(one.schedule.edges.size(),
                                        EdgeElements(one) * sizeof(float));
  for (int step = 0; step < one.steps; ++step) {
    std::vector<StepTrace> ranks;
    for (const std::vector<StepTrace>& rank : of_ranks) {
      ranks.push_back(rank[step]);
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        const WorkFractions fractions,
        MeasureFractions(one.schedule, ranks, edge_bytes));
    PENSTOCK_ASSIGN_OR_RETURN(const double free, FreePathSeconds(one, ranks));
    const double step_seconds = StepSeconds(ranks);
    one.fractions.push_back(fractions.runtime);
    one.free_fractions.push_back(free / step_seconds);
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
    std::printf(
        "p = %2d, m = %2d, 1F1B, actions of %.1f ms: %s, target %.2f; with "
        "free "
        "communication %s\n",
        one.num_ranks, one.num_microbatches, 1e3 * one.action_seconds,
        Spread(one.fractions).c_str(), one.target,
        Spread(one.free_fractions).c_str());
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
