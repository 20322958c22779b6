// Runtime fraction: critical path of the measured actions / measured step time,
// p = 2, m = 8, 1F1B over UCX, emulated devices (an F occupies one for 5 ms, a
// B for 10 ms, no core) with 512 KiB on the edge.
//
//   bazel run //tests/bench:runtime_fraction_bench
//
// The critical path is a replay of the same lists with each compute action's
// measured time and free communication, so what is missing to 1 is the
// transport, the interpreter and the norm agreement together. Both ranks are
// threads; each figure is one step's, the median over 9 rounds of 5 steps with
// the smallest and largest. Target: at least 0.95.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status_macros.h"
#include "schedule/ir/replay.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/lower.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/engine/stage_backend.h"
#include "stage_server/transport/ucx/ucx_transport.h"
#include "tests/bench/rank_threads.h"

namespace penstock {
namespace {

constexpr int kRanks = 2;
constexpr int kMicrobatches = 8;
constexpr int kWarmUpSteps = 2;
constexpr int kSteps = 5;
constexpr int kRounds = 9;
constexpr int64_t kForwardNanos = 5'000'000;
constexpr int64_t kBackwardNanos = 10'000'000;
constexpr int64_t kEdgeElements = 128 * 1024;

// Stages on an emulated device: computing is letting time pass.
class EmulatedDeviceBackend : public StageBackend {
 public:
  absl::Status BeginStep(int64_t update) override { return absl::OkStatus(); }
  absl::Status Forward(StageId stage, MicrobatchId microbatch) override {
    return Occupy(kForwardNanos);
  }
  absl::Status Backward(StageId stage, MicrobatchId microbatch,
                        Half half) override {
    return Occupy(kBackwardNanos);
  }
  absl::Status Recompute(StageId stage, MicrobatchId microbatch) override {
    return Occupy(kForwardNanos);
  }
  absl::Status BackwardInput(StageId stage, MicrobatchId microbatch,
                             Half half) override {
    return Occupy(kBackwardNanos / 2);
  }
  absl::Status BackwardWeight(StageId stage, MicrobatchId microbatch,
                              Half half) override {
    return Occupy(kBackwardNanos / 2);
  }
  absl::StatusOr<at::Tensor> Outgoing(const Action& send) override {
    return at::empty({kEdgeElements}, at::kFloat);
  }
  absl::StatusOr<at::Tensor> Buffer(const Action& receive) override {
    return at::empty({kEdgeElements}, at::kFloat);
  }
  absl::Status Incoming(const Action& receive, at::Tensor tensor) override {
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<at::Tensor>> Gradients(StageId stage) override {
    return std::vector<at::Tensor>();
  }
  absl::StatusOr<AgreementParts> NormParts() override {
    return AgreementParts();
  }
  absl::Status SetNorm(const Agreement& agreement) override {
    return absl::OkStatus();
  }
  absl::Status Update(StageId stage) override { return absl::OkStatus(); }
  absl::Status EndStep() override { return absl::OkStatus(); }

 private:
  // Blocks, but for the last moments, which blocking would overrun.
  static absl::Status Occupy(int64_t nanos) {
    constexpr int64_t kOverrun = 200'000;
    const int64_t end = MonotonicNanos() + nanos;
    const timespec most = {0, nanos - kOverrun};
    ppoll(nullptr, 0, &most, nullptr);
    while (MonotonicNanos() < end) {
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<Schedule> TwoRankSchedule() {
  FlushScheduleRequest request;
  request.generator = "one_f_one_b";
  request.num_ranks = kRanks;
  request.num_stages = kRanks;
  request.num_microbatches = kMicrobatches;
  request.edges = {{EdgeKind::kActivation, "x", StageId(0), StageId(1)}};
  return MakeFlushSchedule(request);
}

struct MeasuredStep {
  int64_t step_nanos = 0;
  // By the action's text, which is unique in a step.
  std::map<std::string, int64_t> compute_nanos;
};

absl::StatusOr<std::vector<MeasuredStep>> MeasureRank(
    const Schedule& schedule, RankId rank, std::unique_ptr<Transport> transport,
    const std::function<void()>& meet) {
  EmulatedDeviceBackend backend;
  PENSTOCK_ASSIGN_OR_RETURN(
      const auto interpreter,
      Interpreter::Make({rank, schedule, std::vector<std::vector<int>>(kRanks),
                         std::vector<int>(kRanks),
                         /*receive_lookahead=*/2, absl::Seconds(10)},
                        &backend));
  interpreter->Attach(std::move(transport));
  const std::vector<Action>& actions = schedule.ranks[rank.value()];
  std::vector<MeasuredStep> steps;
  for (int step = 1; step <= kWarmUpSteps + kSteps; ++step) {
    PENSTOCK_ASSIGN_OR_RETURN(const StepTiming timing,
                              interpreter->RunStep(step));
    if (step <= kWarmUpSteps) continue;
    MeasuredStep& measured = steps.emplace_back();
    measured.step_nanos = timing.step_nanos;
    for (const ActionRecord& record :
         interpreter->trace().Latest(static_cast<int>(actions.size()))) {
      const Action& action = actions[record.action];
      if (!IsCompute(action.op)) continue;
      measured.compute_nanos[ToString(action)] =
          record.end_nanos - record.start_nanos;
    }
  }
  meet();
  return steps;
}

// One fraction a step.
absl::StatusOr<std::vector<double>> RunRound(const Schedule& schedule) {
  std::vector<std::vector<MeasuredStep>> ranks(kRanks);
  PENSTOCK_RETURN_IF_ERROR(RunRankThreads(
      schedule, [] { return MakeUcxEndpoint({}); },
      [&](RankId rank, std::unique_ptr<Transport> transport,
          const std::function<void()>& meet) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(
            ranks[rank.value()],
            MeasureRank(schedule, rank, std::move(transport), meet));
        return absl::OkStatus();
      }));
  std::vector<double> fractions;
  for (int step = 0; step < kSteps; ++step) {
    std::map<std::string, int64_t> nanos;
    int64_t step_nanos = 0;
    for (const std::vector<MeasuredStep>& rank : ranks) {
      nanos.insert(rank[step].compute_nanos.begin(),
                   rank[step].compute_nanos.end());
      step_nanos = std::max(step_nanos, rank[step].step_nanos);
    }
    const auto cost = [&](const Action& action) {
      if (!IsCompute(action.op)) return int64_t{0};
      return nanos.at(ToString(action));
    };
    const ReplayResult replay = Replay(schedule, {cost});
    fractions.push_back(static_cast<double>(replay.makespan) /
                        static_cast<double>(step_nanos));
  }
  return fractions;
}

absl::Status Main() {
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule schedule, TwoRankSchedule());
  std::vector<double> fractions;
  for (int round = 0; round < kRounds; ++round) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<double> more,
                              RunRound(schedule));
    fractions.insert(fractions.end(), more.begin(), more.end());
  }
  std::sort(fractions.begin(), fractions.end());
  std::printf(
      "runtime fraction, p = 2, m = 8, 1F1B, F 5 ms, B 10 ms (emulated "
      "devices), UCX, %u cores: %.3f (%.3f..%.3f), target 0.95\n",
      std::thread::hardware_concurrency(), fractions[fractions.size() / 2],
      fractions.front(), fractions.back());
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
