#ifndef PENSTOCK_STAGE_SERVER_ENGINE_MODEL_BACKEND_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_MODEL_BACKEND_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/data/data_source.h"
#include "stage_server/engine/activation_store.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/engine.h"
#include "stage_server/engine/engine_backend.h"
#include "stage_server/engine/engine_state.h"
#include "stage_server/engine/held_out.h"
#include "stage_server/engine/host_memory.h"
#include "stage_server/engine/loss_scale.h"
#include "stage_server/engine/optimizer.h"
#include "stage_server/engine/rank_plan.h"
#include "stage_server/engine/run_identity.h"
#include "stage_server/engine/stage_module.h"
#include "stage_server/engine/step_losses.h"
#include "stage_server/engine/weight_store.h"

namespace penstock {

// The layers of one rank with their weights and optimizer state.
//
// Float16: gradients are those of the scaled loss until N, which tells their
// norm unscaled. A step with one that is not finite is skipped: weights,
// optimizer state, running statistics and the number of updates, by which the
// learning rate goes, stay as they were; the data goes on.
//
// Schedules that never drain: stages do not wait for each other. Each clips by
// the norm of its own gradient and counts its own updates, by which its
// learning rate and Adam's correction go; a gradient that is not finite fails
// the job at the update that would take it. Running statistics are not
// versioned: they move with each update, by its microbatches. Learning rate and
// loss of a step are its last update's here and its microbatches'. Of a stage
// on several ranks G sums the gradients, statistics and losses of an update;
// until its U has come, those of later ones are kept apart.
//
// Tied weights: each site has a main gradient of its own. Before the norm (or
// the update, without one) the owner's gets the sites added in layer order,
// whether they came over an edge or lie here. A user on the owner's rank reads
// the owner's memory; elsewhere it has a copy, replaced once a step from the
// owner's master. Of a schedule that never drains it has a copy of each version
// that its stage keeps, replaced in turn as the owner's updates come; both
// stages read the same one for a microbatch.
//
// A snapshot of a stage is copied when it has made the updates of the step and
// not begun the next one: of a flush that is between two steps, else each stage
// has a moment of its own, within an update.
class ModelBackend : public EngineBackend {
 public:
  // Draws weights, or takes the state of `restore` unless that is null, and
  // opens the data if a layer of the rank reads it.
  //   as DataSource::Open, Layer::Make, Optimizer::Make; RESOURCE_EXHAUSTED; as
  //   StateSource::Fill and CheckSameRun.
  static absl::StatusOr<std::unique_ptr<ModelBackend>> Make(
      RankPlan plan, Device& device, StateSource* restore = nullptr);

  absl::Status BeginStep(int64_t step) override;
  absl::Status Forward(StageId stage, MicrobatchId microbatch,
                       std::optional<int32_t> version) override;
  absl::Status Recompute(StageId stage, MicrobatchId microbatch,
                         std::optional<int32_t> version) override;
  absl::Status Backward(StageId stage, MicrobatchId microbatch, Half half,
                        std::optional<int32_t> version) override;
  absl::Status BackwardInput(StageId stage, MicrobatchId microbatch, Half half,
                             std::optional<int32_t> version) override;
  absl::Status BackwardWeight(StageId stage, MicrobatchId microbatch, Half half,
                              std::optional<int32_t> version) override;
  absl::StatusOr<at::Tensor> Outgoing(const Action& send) override;
  absl::StatusOr<at::Tensor> Buffer(const Action& receive) override;
  absl::Status Incoming(const Action& receive, at::Tensor tensor) override;
  absl::StatusOr<std::vector<at::Tensor>> Gradients(StageId stage) override;
  absl::StatusOr<AgreementParts> NormParts() override;
  absl::Status SetNorm(const Agreement& agreement) override;
  absl::Status Update(StageId stage, std::optional<int32_t> version) override;
  absl::Status EndStep() override;
  absl::Status EndList() override;
  absl::Status BeginEvaluation() override;
  absl::StatusOr<AgreementParts> EvaluationParts() override;
  absl::Status EndEvaluation(std::optional<double> mean_loss) override;

  void Report(StepResult& result) const override;
  std::optional<double> EvaluationLoss() const override;
  std::vector<LayerDigestResult> Digests() const override;
  absl::Status PlanSnapshot(int64_t step) override;
  absl::StatusOr<EngineSnapshot> TakeSnapshot() override;

  MemoryUse CountedMemory() const override;
  int64_t weight_queue_bytes() const override;

 private:
  // One stage of this rank.
  struct Part {
    std::optional<WeightStore> weights;
    // By position of the layer in the stage: index of its first parameter in
    // `weights`, and how many it owns.
    std::vector<std::pair<int, int>> owned;
    std::optional<StageModule> module;
    // By position of the layer: its running statistics.
    std::vector<std::vector<at::Tensor>> statistics;
    // In this step, of a flush.
    bool reduced = false;
    bool updated = false;
    // Updates that an optimizer has made and versions do not count: of a run
    // that went on with another policy.
    int64_t earlier_updates = 0;
    HostMemory snapshot_memory;
    // Of a schedule that never drains: updates whose G has run, and by update
    // the losses that are being summed, by piece.
    int64_t num_reduced = 0;
    std::map<int64_t, at::Tensor> losses;
  };
  // A tensor of the state, and where it is here.
  struct BoundTensor {
    StateTensor tensor;
    at::Tensor values;
    bool is_borrowed = false;
  };
  // A snapshot that is being taken.
  struct Taking {
    int64_t step = 0;
    // Stages that are still to be copied.
    std::set<StageId> waiting;
    absl::Status status;
    EngineSnapshot snapshot;
    // Of the snapshot.
    std::vector<std::shared_ptr<const std::byte>> memory;
  };
  // Where a tied use's gradient is, and its owner's.
  struct SiteTensors {
    // By slot: at the user the site's main gradients and the leaves of the
    // weight, copies where the owner is elsewhere; at the owner alone the
    // gradients that came.
    std::vector<at::Tensor> gradients;
    std::vector<at::Tensor> weights;
    // The owner, where it is on this rank; else null.
    const WeightStore* owner = nullptr;
    int owner_parameter = 0;
    std::vector<at::Tensor> owner_gradients;
    // Over the edge, in this step; of a schedule that never drains: the update
    // of the last that came.
    bool gradient_came = false;
    bool weight_came = false;
    int64_t gradient_version = 0;
    int64_t weight_version = 0;
  };

  ModelBackend(RankPlan plan, Device& device, Optimizer optimizer)
      : plan_(std::move(plan)),
        device_(device),
        optimizer_(std::move(optimizer)),
        store_(static_cast<int>(plan_.schedule.edges.size()), NumPlaces()),
        losses_(plan_.num_pieces()) {
    if (is_scaled()) next_loss_scale_ = FirstLossScale(plan_.job.loss_scale());
  }

  // Pieces that may be on an edge: of training, or of an evaluation.
  int NumPlaces() const {
    if (runs_on()) return std::numeric_limits<int>::max();
    return std::max(plan_.num_pieces(), plan_.job.evaluation().microbatches() *
                                            plan_.pieces_per_microbatch);
  }

  // Where a piece is, in its step; steps count from 0.
  struct InStep {
    int64_t step = 0;
    int piece = 0;
  };

  absl::Status MakeBuffers();
  absl::Status MakeSites();
  absl::Status MakeModules();
  absl::Status OpenData();
  // By layer, kind and name.
  std::vector<BoundTensor> StateOf(const Part& part) const;
  std::vector<BoundTensor> StateOfLayer(const Part& part, size_t position,
                                        ShardFile::Kind kind) const;
  // Copies of other ranks' tied weights, which are loaded like one's own.
  struct Borrowed {
    BoundTensor bound;
    at::Tensor leaf;
  };
  std::vector<Borrowed> BorrowedState(const StateSource& source);
  void Copy(Part& part);
  void CopyIfDue(Part& part);
  absl::Status Restore(StateSource& source);
  absl::Status FillState(StateSource& source);
  void BeginAt(const TrainState& state, bool other_shape);
  StateTensor StateTensorOf(ShardFile::Kind kind, int layer, std::string name,
                            const at::Tensor& values) const;
  std::optional<std::pair<const Part*, int>> FindOwned(
      const std::string& parameter) const;
  // Microbatches of several steps are in flight at once.
  bool runs_on() const { return plan_.schedule.is_continuous(); }
  InStep StepOf(MicrobatchId piece) const;
  int64_t UpdatesPerStep(StageId stage) const {
    return plan_.num_pieces() / plan_.PiecesPerUpdate(stage);
  }
  at::ScalarType weight_type() const;
  // Losses are scaled and bad steps skipped.
  bool is_scaled() const { return weight_type() == at::kHalf; }
  absl::StatusOr<int> SiteOf(EdgeId edge) const;
  // The pieces of a microbatch, or of half of one.
  std::vector<MicrobatchId> PiecesOf(MicrobatchId microbatch, Half half) const;
  absl::Status CheckGradientIsWhole(StageId stage) const;
  absl::Status AddSites();
  // What G sums, beside the losses.
  std::vector<at::Tensor> FinishedGradients(StageId stage, int slot);
  absl::StatusOr<std::vector<at::Tensor>> GradientsAlone(StageId stage);
  at::Tensor LossesToReduce(StageId stage, int64_t update);
  void TakeReducedLosses(StageId stage, int64_t update);
  // Of the layers that the stage owns, in their order.
  std::vector<LayerSquares> SquaresOf(const Part& part, int slot = 0) const;
  absl::Status CheckVersion(const char* op, StageId stage, MicrobatchId piece,
                            std::optional<int32_t> version) const;
  absl::Status BrokenGradient(int64_t step, int layer) const;
  // Of a stage that does not wait for others.
  absl::Status UpdateAlone(StageId stage, std::optional<int32_t> version);
  absl::Status UpdateWeights(StageId stage, int64_t update);
  int64_t FirstPieceOf(StageId stage, int64_t update) const {
    return update * plan_.PiecesPerUpdate(stage);
  }
  absl::StatusOr<at::Tensor> OutgoingTied(const Action& send);
  absl::Status IncomingTied(const Action& receive, at::Tensor tensor);
  absl::StatusOr<at::Tensor> OutgoingTiedAlone(const SiteTensors& site,
                                               const Action& send);
  absl::Status IncomingTiedAlone(SiteTensors& site, const Action& receive,
                                 at::Tensor tensor);
  // Whether what the stage borrows is of this version or a later one.
  absl::Status CheckTiedHave(StageId stage, int64_t version) const;
  absl::Status AddSitesAlone(StageId stage, int64_t update);
  absl::Status ForwardPiece(StageId stage, MicrobatchId piece,
                            std::optional<int32_t> version);
  absl::Status EvaluatePiece(StageId stage, MicrobatchId piece);
  // Mean over the pieces, added in their order; only where the loss is
  // computed.
  std::optional<double> MeanLoss() const;
  absl::Status RecordLoss(StageId stage, const InStep& at, float loss);

  const RankPlan plan_;
  Device& device_;
  const Optimizer optimizer_;
  ActivationStore store_;
  std::map<StageId, Part> parts_;
  // By index in plan_.tied_sites.
  std::vector<SiteTensors> sites_;
  // Null where no layer of the rank reads the data.
  std::unique_ptr<DataSource> data_;
  // Of jobs that are evaluated.
  std::optional<HeldOut> held_out_;
  bool evaluating_ = false;
  std::optional<double> evaluation_loss_;
  // Whether this rank tells the loss.
  bool has_loss_ = false;

  int64_t step_ = 0;
  double learning_rate_ = 0;
  // Those computed here.
  StepLosses losses_;
  // Of all ranks, where several compute it.
  std::optional<double> agreed_loss_;
  std::optional<double> norm_;
  bool agreed_ = false;
  bool skipped_ = false;
  bool sites_added_ = false;

  // Of this step, and of the next one.
  LossScale loss_scale_;
  LossScale next_loss_scale_;
  // Steps that were not skipped, and those that were.
  int64_t num_updates_ = 0;
  int64_t num_skipped_ = 0;

  RunIdentity identity_;
  std::optional<Taking> taking_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_MODEL_BACKEND_H_
