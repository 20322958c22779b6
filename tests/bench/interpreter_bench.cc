// What an action costs apart from its computation: interpreter, activation
// hand-over and transport enqueue, for actions that compute nothing.
//
//   bazel run //tests/bench:interpreter_bench
//
// Two ranks on two threads of one process, gpipe with 32 microbatches (UCX's
// shared memory holds 64 messages before a sender must be polled), one 64-byte
// tensor per edge. "all" is the time of a step divided by the actions
// of a list, waiting for the other rank included; "own" leaves out the time
// inside Transport::Wait. In-process and UCX rounds alternate; each figure is
// the median over the rounds, with the smallest and largest, of the slower
// rank. Target: at most 20 us an action.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/status_macros.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/transport/in_process/in_process_transport.h"
#include "stage_server/transport/ucx/ucx_transport.h"
#include "tests/bench/chain_program.h"
#include "tests/bench/rank_threads.h"
#include "tests/bench/spin_backend.h"

namespace penstock {
namespace {

constexpr int kRanks = 2;
constexpr int kMicrobatches = 32;
constexpr int kWarmUpSteps = 50;
constexpr int kSteps = 200;
constexpr int kRounds = 9;
constexpr int64_t kElements = 16;
constexpr double kTargetMicros = 20;

// Adds up the time spent waiting.
class WaitTimer : public Transport {
 public:
  WaitTimer(std::unique_ptr<Transport> transport, int64_t* waited_nanos)
      : transport_(std::move(transport)), waited_nanos_(waited_nanos) {}

  absl::StatusOr<RequestId> PostSend(
      ChannelId channel, const MessageHeader& header,
      absl::Span<const std::byte> bytes) override {
    return transport_->PostSend(channel, header, bytes);
  }
  absl::StatusOr<RequestId> PostReceive(ChannelId channel,
                                        const MessageHeader& expected,
                                        absl::Span<std::byte> buffer) override {
    return transport_->PostReceive(channel, expected, buffer);
  }
  absl::StatusOr<bool> Test(RequestId request) override {
    return transport_->Test(request);
  }
  absl::Status Wait(RequestId request, absl::Time deadline) override {
    const int64_t start = MonotonicNanos();
    absl::Status status = transport_->Wait(request, deadline);
    *waited_nanos_ += MonotonicNanos() - start;
    return status;
  }
  absl::Status AwaitProgress(absl::Time until) override {
    const int64_t start = MonotonicNanos();
    absl::Status status = transport_->AwaitProgress(until);
    *waited_nanos_ += MonotonicNanos() - start;
    return status;
  }
  void Cancel(absl::Status why) override { transport_->Cancel(std::move(why)); }
  int64_t num_stale_messages() const override {
    return transport_->num_stale_messages();
  }

 private:
  const std::unique_ptr<Transport> transport_;
  int64_t* const waited_nanos_;
};

// Microseconds an action.
struct Cost {
  double all = 0;
  double own = 0;
};

absl::StatusOr<Cost> MeasureRank(const Schedule& schedule, RankId rank,
                                 std::unique_ptr<Transport> transport,
                                 const std::function<void()>& meet) {
  SpinBackend backend(/*action_nanos=*/0, kElements);
  PENSTOCK_ASSIGN_OR_RETURN(
      const auto interpreter,
      Interpreter::Make(ChainProgram(schedule, rank), &backend));
  int64_t waited_nanos = 0;
  interpreter->Attach(
      std::make_unique<WaitTimer>(std::move(transport), &waited_nanos));
  int64_t nanos = 0;
  int64_t waited_in_warm_up = 0;
  for (int step = 1; step <= kWarmUpSteps + kSteps; ++step) {
    PENSTOCK_ASSIGN_OR_RETURN(const StepTiming timing,
                              interpreter->RunStep(step));
    if (step == kWarmUpSteps) waited_in_warm_up = waited_nanos;
    if (step > kWarmUpSteps) nanos += timing.step_nanos;
  }
  meet();
  const auto actions = static_cast<double>(schedule.ranks[rank.value()].size());
  const double scale = 1.0 / (1000 * kSteps * actions);
  return Cost{
      static_cast<double>(nanos) * scale,
      static_cast<double>(nanos - (waited_nanos - waited_in_warm_up)) * scale};
}

// Of the slower rank.
absl::StatusOr<Cost> RunRound(const Schedule& schedule,
                              const EndpointFactory& make_endpoint) {
  std::vector<Cost> costs(kRanks);
  PENSTOCK_RETURN_IF_ERROR(RunRankThreads(
      schedule, make_endpoint,
      [&](RankId rank, std::unique_ptr<Transport> transport,
          const std::function<void()>& meet) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(
            costs[rank.value()],
            MeasureRank(schedule, rank, std::move(transport), meet));
        return absl::OkStatus();
      }));
  return Cost{std::max(costs[0].all, costs[1].all),
              std::max(costs[0].own, costs[1].own)};
}

void Report(const char* name, const std::vector<Cost>& costs) {
  const struct {
    const char* what;
    double Cost::*part;
  } parts[] = {{"all", &Cost::all}, {"own", &Cost::own}};
  for (const auto& [what, part] : parts) {
    std::vector<double> micros;
    for (const Cost& cost : costs) micros.push_back(cost.*part);
    std::sort(micros.begin(), micros.end());
    const double median = micros[micros.size() / 2];
    std::printf(
        "%-11s %s %6.2f us an action (%.2f..%.2f), %.2f of the target\n", name,
        what, median, micros.front(), micros.back(), median / kTargetMicros);
  }
}

absl::Status Main() {
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule schedule,
                            ChainSchedule("gpipe", kRanks, kMicrobatches));
  std::printf(
      "empty actions, p = 2, gpipe, m = %d, %zu actions a list, %u "
      "cores, %d rounds\n",
      kMicrobatches, schedule.ranks[0].size(),
      std::thread::hardware_concurrency(), kRounds);
  std::vector<Cost> in_process, ucx;
  for (int round = 0; round < kRounds; ++round) {
    const std::unique_ptr<InProcessFabric> fabric = InProcessFabric::Make();
    PENSTOCK_ASSIGN_OR_RETURN(
        in_process.emplace_back(),
        RunRound(schedule, [&] { return fabric->MakeEndpoint(); }));
    PENSTOCK_ASSIGN_OR_RETURN(ucx.emplace_back(), RunRound(schedule, [] {
                                return MakeUcxEndpoint({});
                              }));
  }
  Report("in_process", in_process);
  Report("ucx", ucx);
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
