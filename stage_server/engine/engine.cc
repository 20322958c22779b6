#include "stage_server/engine/engine.h"

#include <utility>

#include "absl/time/time.h"
#include "base/status_macros.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/interpreter.h"
#include "stage_server/engine/model_backend.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {
namespace {

class ModelEngine : public Engine {
 public:
  ModelEngine(std::unique_ptr<ModelBackend> backend,
              std::unique_ptr<Interpreter> interpreter)
      : backend_(std::move(backend)), interpreter_(std::move(interpreter)) {}

  void Attach(std::unique_ptr<Transport> transport) override {
    interpreter_->Attach(std::move(transport));
  }

  absl::StatusOr<StepResult> RunStep() override {
    PENSTOCK_ASSIGN_OR_RETURN(const StepTiming timing,
                              interpreter_->RunStep(step_ + 1));
    ++step_;
    StepResult result;
    result.step = step_;
    result.loss = backend_->MeanLoss();
    result.gradient_norm = backend_->gradient_norm();
    result.step_nanos = timing.step_nanos;
    result.busy_nanos = timing.busy_nanos;
    result.learning_rate = backend_->learning_rate();
    result.tokens = backend_->tokens_per_step();
    return result;
  }

  void Cancel(absl::Status why) override {
    interpreter_->Cancel(std::move(why));
  }

  int64_t step() const override { return step_; }

  std::vector<LayerDigestResult> Digests() const override {
    return backend_->Digests();
  }

 private:
  // Before the interpreter, whose transport may still read its tensors.
  const std::unique_ptr<ModelBackend> backend_;
  const std::unique_ptr<Interpreter> interpreter_;
  int64_t step_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Load(const Plan& plan,
                                                     RankId rank,
                                                     Device& device) {
  PENSTOCK_ASSIGN_OR_RETURN(RankPlan resolved, ResolveRank(plan, rank));
  PENSTOCK_RETURN_IF_ERROR(device.PrepareThread(plan.job().threads()));
  if (plan.receive_lookahead() < 0 ||
      !(plan.job().step_timeout_seconds() > 0)) {
    return absl::InvalidArgumentError(
        "plan: receive_lookahead must be at least 0, step_timeout_seconds "
        "more than 0");
  }
  RankProgram program;
  program.rank = rank;
  program.schedule = resolved.schedule;
  program.owned_layers = resolved.owned_layers;
  program.loss_places = resolved.loss_places;
  program.receive_lookahead = plan.receive_lookahead();
  program.step_timeout = absl::Seconds(plan.job().step_timeout_seconds());
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<ModelBackend> backend,
                            ModelBackend::Make(std::move(resolved), device));
  PENSTOCK_ASSIGN_OR_RETURN(
      std::unique_ptr<Interpreter> interpreter,
      Interpreter::Make(std::move(program), backend.get()));
  return std::make_unique<ModelEngine>(std::move(backend),
                                       std::move(interpreter));
}

}  // namespace penstock
