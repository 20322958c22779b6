#include "tests/parity/unchecked_run.h"

#include <memory>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "stage_server/engine/channels.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/engine/model_backend.h"
#include "stage_server/engine/rank_plan.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

class UncheckedRun {
 public:
  UncheckedRun(const Plan& plan, const Schedule& schedule, int num_steps,
               absl::Duration timeout)
      : plan_(plan),
        schedule_(schedule),
        num_steps_(num_steps),
        timeout_(timeout) {}

  UncheckedOutcome Train() {
    const int num_ranks = schedule_.num_ranks();
    auto transports = *ConnectInProcess(num_ranks, ChannelsOf(plan_));
    std::vector<std::unique_ptr<Device>> devices(num_ranks);
    backends_.resize(num_ranks);
    interpreters_.resize(num_ranks);
    for (int rank = 0; rank < num_ranks; ++rank) {
      devices[rank] = *MakeDevice("cpu");
      Fail(Make(rank, *devices[rank], std::move(transports[rank])));
    }
    {
      MutexLock lock(&mutex_);
      if (!outcome_.status.ok()) return outcome_;
    }
    std::vector<std::thread> threads;
    for (int rank = 0; rank < num_ranks; ++rank) {
      threads.emplace_back([this, rank] { Fail(RunRank(rank)); });
    }
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(&mutex_);
    for (const auto& interpreter : interpreters_) {
      outcome_.evidence.emplace_back().at = interpreter->Missing();
    }
    return outcome_;
  }

 private:
  absl::Status Make(int rank, Device& device,
                    std::unique_ptr<Transport> transport) {
    absl::StatusOr<RankPlan> resolved = ResolveRank(plan_, RankId(rank));
    if (!resolved.ok()) return resolved.status();
    resolved->schedule = schedule_;
    RankProgram program;
    program.rank = RankId(rank);
    program.schedule = schedule_;
    program.owned_layers = resolved->owned_layers;
    program.loss_places = resolved->loss_places;
    program.receive_lookahead = plan_.receive_lookahead();
    program.step_timeout = timeout_;
    program.num_steps = num_steps_;
    auto backend = ModelBackend::Make(*std::move(resolved), device);
    if (!backend.ok()) return backend.status();
    backends_[rank] = *std::move(backend);
    auto interpreter = Interpreter::Make(program, backends_[rank].get());
    if (!interpreter.ok()) return interpreter.status();
    interpreters_[rank] = *std::move(interpreter);
    interpreters_[rank]->Attach(std::move(transport));
    return absl::OkStatus();
  }

  absl::Status RunRank(int rank) {
    // Each thread has its own number.
    const auto device = MakeDevice("cpu");
    const absl::Status ready = (*device)->PrepareThread(1);
    if (!ready.ok()) return ready;
    for (int step = 1; step <= num_steps_; ++step) {
      const auto timing = interpreters_[rank]->RunStep(step);
      if (!timing.ok()) return timing.status();
    }
    MutexLock lock(&mutex_);
    for (const LayerDigestResult& digest : backends_[rank]->Digests()) {
      outcome_.digests[digest.name] = digest.sha256;
    }
    return absl::OkStatus();
  }

  // The first failure ends all ranks.
  void Fail(const absl::Status& status) {
    if (status.ok()) return;
    {
      MutexLock lock(&mutex_);
      if (!outcome_.status.ok()) return;
      outcome_.status = status;
    }
    for (const auto& interpreter : interpreters_) {
      if (interpreter != nullptr) interpreter->Cancel(status);
    }
  }

  const Plan& plan_;
  const Schedule& schedule_;
  const int num_steps_;
  const absl::Duration timeout_;
  std::vector<std::unique_ptr<ModelBackend>> backends_;
  std::vector<std::unique_ptr<Interpreter>> interpreters_;
  Mutex mutex_;
  UncheckedOutcome outcome_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

UncheckedOutcome TrainUnchecked(const Plan& plan, const Schedule& schedule,
                                int num_steps, absl::Duration timeout) {
  return UncheckedRun(plan, schedule, num_steps, timeout).Train();
}

}  // namespace penstock
