#ifndef PENSTOCK_STAGE_SERVER_ENGINE_MODEL_BACKEND_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_MODEL_BACKEND_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/data/data_source.h"
#include "stage_server/engine/activation_store.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/engine.h"
#include "stage_server/engine/engine_backend.h"
#include "stage_server/engine/flat_buffers.h"
#include "stage_server/engine/loss_scale.h"
#include "stage_server/engine/optimizer.h"
#include "stage_server/engine/rank_plan.h"
#include "stage_server/engine/stage_module.h"

namespace penstock {

// The layers of one rank with their weights and optimizer state.
//
// Float16: gradients are those of the scaled loss until N, which tells their
// norm unscaled. A step with one that is not finite is skipped: weights,
// optimizer state, running statistics and the number of updates, by which the
// learning rate goes, stay as they were; the data goes on.
//
// Tied weights: each site has a main gradient of its own. Before the norm (or
// the update, without one) the owner's gets the sites added in layer order,
// whether they came over an edge or lie here. A user on the owner's rank reads
// the owner's memory; elsewhere it has a copy, replaced once a step from the
// owner's master.
class ModelBackend : public EngineBackend {
 public:
  // Draws weights and opens the data if a layer of the rank reads it.
  //   as DataSource::Open, Layer::Make, Optimizer::Make; RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<ModelBackend>> Make(RankPlan plan,
                                                            Device& device);

  absl::Status BeginStep(int64_t update) override;
  absl::Status Forward(StageId stage, MicrobatchId microbatch) override;
  absl::Status Recompute(StageId stage, MicrobatchId microbatch) override;
  absl::Status Backward(StageId stage, MicrobatchId microbatch,
                        Half half) override;
  absl::Status BackwardInput(StageId stage, MicrobatchId microbatch,
                             Half half) override;
  absl::Status BackwardWeight(StageId stage, MicrobatchId microbatch,
                              Half half) override;
  absl::StatusOr<at::Tensor> Outgoing(const Action& send) override;
  absl::StatusOr<at::Tensor> Buffer(const Action& receive) override;
  absl::Status Incoming(const Action& receive, at::Tensor tensor) override;
  absl::StatusOr<std::vector<at::Tensor>> Gradients(StageId stage) override;
  absl::StatusOr<AgreementParts> NormParts() override;
  absl::Status SetNorm(const Agreement& agreement) override;
  absl::Status Update(StageId stage) override;
  absl::Status EndStep() override;

  void Report(StepResult& result) const override;
  std::vector<LayerDigestResult> Digests() const override;

  MemoryUse CountedMemory() const override;
  int64_t weight_queue_bytes() const override;

 private:
  // One stage of this rank.
  struct Part {
    std::optional<FlatBuffers> buffers;
    // By position of the layer in the stage: index of its first parameter in
    // `buffers`, and how many it owns.
    std::vector<std::pair<int, int>> owned;
    std::optional<StageModule> module;
    // By position of the layer: its running statistics.
    std::vector<std::vector<at::Tensor>> statistics;
    // In this step.
    bool reduced = false;
    bool updated = false;
  };
  // Where a tied use's gradient is, and its owner's.
  struct SiteTensors {
    // Here: the site's main gradient and, where the owner is elsewhere, the
    // copy of its weight.
    at::Tensor gradient;
    at::Tensor weight;
    // The owner, where it is on this rank.
    at::Tensor owner_gradient;
    at::Tensor owner_master;
    at::Tensor owner_weight;
    // Over the edge, in this step.
    bool gradient_came = false;
    bool weight_came = false;
  };

  ModelBackend(RankPlan plan, Device& device, Optimizer optimizer)
      : plan_(std::move(plan)),
        device_(device),
        optimizer_(std::move(optimizer)),
        store_(static_cast<int>(plan_.schedule.edges.size()),
               plan_.num_pieces()) {
    if (is_scaled()) next_loss_scale_ = FirstLossScale(plan_.job.loss_scale());
  }

  absl::Status MakeBuffers();
  absl::Status MakeSites();
  absl::Status MakeModules();
  absl::Status OpenData();
  std::optional<std::pair<const Part*, int>> FindOwned(
      const std::string& parameter) const;
  at::ScalarType weight_type() const;
  // Losses are scaled and bad steps skipped.
  bool is_scaled() const { return weight_type() == at::kHalf; }
  absl::StatusOr<int> SiteOf(EdgeId edge) const;
  // The pieces of a microbatch, or of half of one.
  std::vector<MicrobatchId> PiecesOf(MicrobatchId microbatch, Half half) const;
  absl::Status CheckGradientIsWhole(StageId stage) const;
  absl::Status AddSites();
  absl::StatusOr<at::Tensor> OutgoingTied(const Action& send);
  absl::Status IncomingTied(const Action& receive, at::Tensor tensor);
  absl::Status ForwardPiece(StageId stage, MicrobatchId piece);
  // Mean over the pieces, added in their order; only where the loss is
  // computed.
  std::optional<double> MeanLoss() const;
  absl::Status RecordLoss(StageId stage, MicrobatchId piece, float loss);

  const RankPlan plan_;
  Device& device_;
  const Optimizer optimizer_;
  ActivationStore store_;
  std::map<StageId, Part> parts_;
  // By index in plan_.tied_sites.
  std::vector<SiteTensors> sites_;
  // Null where no layer of the rank reads the data.
  std::unique_ptr<DataSource> data_;
  // Whether this rank tells the loss.
  bool has_loss_ = false;

  int64_t update_ = 0;
  double learning_rate_ = 0;
  // By piece; those computed here.
  std::vector<std::optional<float>> losses_;
  // Of all ranks, where several compute it.
  std::optional<double> agreed_loss_;
  std::optional<double> norm_;
  bool agreed_ = false;
  bool skipped_ = false;
  bool sites_added_ = false;

  // Of this step, and of the next one.
  LossScale loss_scale_;
  LossScale next_loss_scale_;
  // Steps that were not skipped.
  int64_t num_updates_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_MODEL_BACKEND_H_
