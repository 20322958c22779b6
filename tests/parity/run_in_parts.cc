#include "tests/parity/run_in_parts.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "stage_server/engine/channels.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/engine/model_backend.h"
#include "stage_server/engine/rank_plan.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

class RunInParts {
 public:
  RunInParts(const Plan& plan, const DrainRequest& drain)
      : plan_(plan),
        drain_(drain),
        num_ranks_(plan.schedule().ranks_size()),
        devices_(num_ranks_),
        backends_(num_ranks_),
        programs_(num_ranks_) {}

  absl::StatusOr<TrainingRecord> Train() {
    for (int rank = 0; rank < num_ranks_; ++rank) {
      PENSTOCK_RETURN_IF_ERROR(MakeRank(rank));
    }
    PENSTOCK_RETURN_IF_ERROR(RunPart(
        [&](Interpreter& interpreter) { return RunToDrain(interpreter); }));
    for (RankProgram& program : programs_) {
      program.steps_before = drain_.after_step;
      program.newest_only = drain_.newest_only;
    }
    PENSTOCK_RETURN_IF_ERROR(RunPart([&](Interpreter& interpreter) {
      return RunSteps(interpreter, drain_.after_step + 1,
                      static_cast<int>(plan_.job().steps()));
    }));
    return Record();
  }

 private:
  absl::Status MakeRank(int rank) {
    PENSTOCK_ASSIGN_OR_RETURN(devices_[rank], MakeDevice("cpu"));
    PENSTOCK_ASSIGN_OR_RETURN(RankPlan resolved,
                              ResolveRank(plan_, RankId(rank)));
    RankProgram& program = programs_[rank];
    program.rank = RankId(rank);
    program.schedule = resolved.schedule;
    program.owned_layers = resolved.owned_layers;
    program.loss_places = resolved.loss_places;
    program.receive_lookahead = plan_.receive_lookahead();
    program.step_timeout = absl::Seconds(60);
    program.num_steps = plan_.job().steps();
    PENSTOCK_ASSIGN_OR_RETURN(
        backends_[rank],
        ModelBackend::Make(std::move(resolved), *devices_[rank]));
    return absl::OkStatus();
  }

  absl::Status RunSteps(Interpreter& interpreter, int first, int last) {
    for (int step = first; step <= last; ++step) {
      PENSTOCK_RETURN_IF_ERROR(interpreter.RunStep(step).status());
    }
    return absl::OkStatus();
  }

  absl::Status RunToDrain(Interpreter& interpreter) {
    const int told = drain_.told_after_step;
    PENSTOCK_RETURN_IF_ERROR(RunSteps(interpreter, 1, told));
    PENSTOCK_RETURN_IF_ERROR(interpreter.StopAfter(drain_.after_step));
    return RunSteps(interpreter, told + 1, drain_.after_step);
  }

  // On a thread for each rank; the first failure ends all.
  absl::Status RunPart(
      const std::function<absl::Status(Interpreter&)>& run_rank) {
    auto transports = *ConnectInProcess(num_ranks_, ChannelsOf(plan_));
    std::vector<std::unique_ptr<Interpreter>> interpreters;
    for (int rank = 0; rank < num_ranks_; ++rank) {
      PENSTOCK_ASSIGN_OR_RETURN(
          interpreters.emplace_back(),
          Interpreter::Make(programs_[rank], backends_[rank].get()));
      interpreters[rank]->Attach(std::move(transports[rank]));
    }
    Mutex mutex;
    absl::Status first;
    std::vector<std::thread> threads;
    for (int rank = 0; rank < num_ranks_; ++rank) {
      threads.emplace_back([&, rank] {
        absl::Status status = devices_[rank]->PrepareThread(1);
        if (status.ok()) status = run_rank(*interpreters[rank]);
        if (status.ok()) return;
        {
          MutexLock lock(&mutex);
          if (first.ok()) first = status;
        }
        for (const auto& interpreter : interpreters) {
          interpreter->Cancel(status);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return first;
  }

  TrainingRecord Record() const {
    std::map<int, std::string> digests;
    for (const auto& backend : backends_) {
      for (const LayerDigestResult& digest : backend->Digests()) {
        digests[digest.layer] = digest.sha256;
      }
    }
    TrainingRecord record;
    for (const auto& [layer, digest] : digests) {
      record.layer_digests.push_back(digest);
    }
    return record;
  }

  const Plan& plan_;
  const DrainRequest drain_;
  const int num_ranks_;
  // By rank.
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<ModelBackend>> backends_;
  std::vector<RankProgram> programs_;
};

}  // namespace

absl::StatusOr<TrainingRecord> TrainInParts(const Plan& plan,
                                            const DrainRequest& drain) {
  return RunInParts(plan, drain).Train();
}

}  // namespace penstock
