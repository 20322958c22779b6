#include "stage_server/engine/engine.h"

#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "models/graph/step_lengths.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/emulated_backend.h"
#include "stage_server/engine/emulated_plan.h"
#include "stage_server/engine/engine_backend.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/engine/memory_gauge.h"
#include "stage_server/engine/model_backend.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {
namespace {

// Memory is measured in so many of an epoch's steps after the prologue, if
// there is one: the first ones of the longest length. The first of all also
// makes what stays, such as a copy of a tied weight.
constexpr int64_t kMeasuredSteps = 2;

class ListEngine : public Engine {
 public:
  ListEngine(MemoryGauge gauge, StepLengths lengths,
             std::unique_ptr<EngineBackend> backend,
             std::unique_ptr<Interpreter> interpreter, int64_t evaluate_every,
             int64_t first_step)
      : gauge_(std::move(gauge)),
        lengths_(std::move(lengths)),
        backend_(std::move(backend)),
        interpreter_(std::move(interpreter)),
        evaluate_every_(evaluate_every),
        first_step_(first_step),
        step_(first_step) {}

  void Attach(std::unique_ptr<Transport> transport) override {
    interpreter_->Attach(std::move(transport));
  }

  absl::StatusOr<StepResult> RunStep() override {
    std::optional<MemoryGauge::Watch> watch;
    std::function<void()> sample;
    if (IsMeasured()) {
      watch.emplace(gauge_);
      // What stays in flight from one step to the next is of the steps.
      if (step_ == first_step_ || !interpreter_->list().runs_on())
        gauge_.BeginStep();
      sample = [this] { gauge_.Sample(backend_->weight_queue_bytes()); };
    }
    PENSTOCK_ASSIGN_OR_RETURN(StepTiming timing,
                              interpreter_->RunStep(step_ + 1, sample));
    ++step_;
    StepResult result;
    result.step = step_;
    result.step_nanos = timing.step_nanos;
    result.busy_nanos = timing.busy_nanos;
    backend_->Report(result);
    result.trace = std::move(timing.trace);
    if (evaluate_every_ > 0 && step_ % evaluate_every_ == 0 &&
        interpreter_->list().IsDrainedAfter(step_)) {
      PENSTOCK_RETURN_IF_ERROR(interpreter_->Evaluate(step_));
      result.evaluation_loss = backend_->EvaluationLoss();
    }
    return result;
  }

  absl::Status PlanSnapshot(int64_t step) override {
    snapshot_step_.reset();
    if (step < step_) {
      return absl::OutOfRangeError(absl::StrCat(
          "step ", step, " is over: the rank has finished step ", step_));
    }
    PENSTOCK_RETURN_IF_ERROR(backend_->PlanSnapshot(step));
    snapshot_step_ = step;
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<EngineSnapshot>> TakeSnapshot() override {
    if (snapshot_step_ != step_) return std::nullopt;
    snapshot_step_.reset();
    PENSTOCK_ASSIGN_OR_RETURN(EngineSnapshot snapshot,
                              backend_->TakeSnapshot());
    return snapshot;
  }

  absl::Status StopAfter(int64_t step) override {
    if (step < step_) {
      return absl::FailedPreconditionError(
          absl::StrCat("step ", step_, " has been made; it can end there, not ",
                       "after step ", step));
    }
    return interpreter_->StopAfter(step);
  }

  std::optional<MissingAction> Missing() const override {
    return interpreter_->Missing();
  }

  void Cancel(absl::Status why) override {
    interpreter_->Cancel(std::move(why));
  }

  int64_t step() const override { return step_; }

  EngineUse Use() const override {
    EngineUse use;
    use.memory = backend_->CountedMemory();
    use.memory.set_activation_bytes(use.memory.activation_bytes() +
                                    gauge_.most_activation_bytes());
    use.memory.set_weight_queue_bytes(use.memory.weight_queue_bytes() +
                                      gauge_.most_weight_queue_bytes());
    use.memory.set_peak_bytes(use.memory.peak_bytes() + gauge_.most_bytes());
    use.edges = interpreter_->EdgeTotals();
    return use;
  }

  std::vector<LayerDigestResult> Digests() const override {
    return backend_->Digests();
  }

 private:
  // Whether memory is measured in the step to come, which is then counted.
  bool IsMeasured() {
    if (num_measured_ == kMeasuredSteps) return false;
    const int64_t prologue = interpreter_->list().steps_in_prologue();
    const bool counts = step_ - first_step_ >= prologue &&
                        lengths_.LengthOf(step_) == lengths_.longest();
    if (counts) ++num_measured_;
    // Of a list that runs on, what a step leaves in flight has to be seen.
    return counts || step_ == first_step_ || interpreter_->list().runs_on();
  }

  MemoryGauge gauge_;
  const StepLengths lengths_;
  // Before the interpreter, whose transport may still read its tensors.
  const std::unique_ptr<EngineBackend> backend_;
  const std::unique_ptr<Interpreter> interpreter_;
  // 0: never.
  const int64_t evaluate_every_;
  // Made before this engine, and so far.
  const int64_t first_step_;
  int64_t step_;
  std::optional<int64_t> snapshot_step_;
  // Of the longest steps.
  int64_t num_measured_ = 0;
};

// Steps that the state has behind it.
absl::StatusOr<int64_t> FirstStep(const Plan& plan,
                                  const StateSource* restore) {
  if (restore == nullptr || restore->weights_only()) return 0;
  const int64_t step = restore->state().step();
  if (step >= 0 && step <= plan.job().steps()) return step;
  return absl::InvalidArgumentError(absl::StrCat("the checkpoint is of step ",
                                                 step, ", the job has ",
                                                 plan.job().steps(), " steps"));
}

// A backend and the program that it is run by.
struct Loaded {
  std::unique_ptr<EngineBackend> backend;
  RankProgram program;
  StepLengths lengths;
};

absl::StatusOr<Loaded> LoadModel(const Plan& plan, RankId rank, Device& device,
                                 StateSource* restore) {
  Loaded loaded;
  PENSTOCK_ASSIGN_OR_RETURN(RankPlan resolved, ResolveRank(plan, rank));
  PENSTOCK_RETURN_IF_ERROR(device.PrepareThread(plan.job().threads()));
  loaded.program.schedule = resolved.schedule;
  loaded.program.owned_layers = resolved.owned_layers;
  loaded.program.loss_places = resolved.loss_places;
  loaded.lengths = resolved.step_lengths;
  if (const EvaluationSpec& spec = resolved.job.evaluation();
      spec.every_steps() > 0) {
    loaded.program.drain_every = spec.every_steps();
    loaded.program.evaluation_microbatches = spec.microbatches();
    for (const int places : resolved.loss_places) {
      loaded.program.evaluation_loss_places.push_back(
          places == 0 ? 0
                      : spec.microbatches() * resolved.pieces_per_microbatch);
    }
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      loaded.backend, ModelBackend::Make(std::move(resolved), device, restore));
  return loaded;
}

absl::StatusOr<Loaded> LoadEmulation(const Plan& plan, RankId rank,
                                     StateSource* restore) {
  Loaded loaded;
  if (plan.job().evaluation().every_steps() > 0) {
    return absl::InvalidArgumentError(
        "plan: emulated devices compute nothing that could be evaluated");
  }
  PENSTOCK_ASSIGN_OR_RETURN(EmulatedRank resolved,
                            ResolveEmulatedRank(plan, rank));
  const auto num_ranks = static_cast<size_t>(resolved.schedule.num_ranks());
  loaded.program.schedule = resolved.schedule;
  loaded.program.owned_layers.resize(num_ranks);
  loaded.program.loss_places.resize(num_ranks);
  PENSTOCK_ASSIGN_OR_RETURN(
      loaded.backend, EmulatedBackend::Make(std::move(resolved), restore));
  return loaded;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Load(const Plan& plan,
                                                     RankId rank,
                                                     Device& device,
                                                     StateSource* restore) {
  if (plan.receive_lookahead() < 0 ||
      !(plan.job().step_timeout_seconds() > 0)) {
    return absl::InvalidArgumentError(
        "plan: receive_lookahead must be at least 0, step_timeout_seconds "
        "more than 0");
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t first_step, FirstStep(plan, restore));
  MemoryGauge gauge;
  const MemoryGauge::Watch watch(gauge);
  PENSTOCK_ASSIGN_OR_RETURN(Loaded loaded,
                            plan.job().has_emulate()
                                ? LoadEmulation(plan, rank, restore)
                                : LoadModel(plan, rank, device, restore));
  loaded.program.rank = rank;
  loaded.program.receive_lookahead = plan.receive_lookahead();
  loaded.program.step_timeout =
      absl::Seconds(plan.job().step_timeout_seconds());
  loaded.program.wire = plan.job().wire();
  loaded.program.num_steps = plan.job().steps();
  if (loaded.program.schedule.is_continuous() &&
      first_step < plan.job().steps()) {
    loaded.program.steps_before = first_step;
    loaded.program.newest_only = first_step > 0 && restore->other_shape();
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      std::unique_ptr<Interpreter> interpreter,
      Interpreter::Make(std::move(loaded.program), loaded.backend.get()));
  return std::make_unique<ListEngine>(
      std::move(gauge), std::move(loaded.lengths), std::move(loaded.backend),
      std::move(interpreter), plan.job().evaluation().every_steps(),
      first_step);
}

}  // namespace penstock
