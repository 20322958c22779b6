#ifndef PENSTOCK_STAGE_SERVER_ENGINE_STAGE_MODULE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_STAGE_MODULE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "models/layers/layer.h"
#include "models/layers/weight_queue.h"
#include "schedule/ir/schedule.h"
#include "stage_server/engine/activation_store.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {

// The tensors of one layer's parameters, in their order.
struct LayerTensors {
  // By slot (WeightStore): leaves of the weights' type.
  std::vector<std::vector<at::Tensor>> weights;
  // By gradient slot: float32 main gradients of the same
  // shapes.
  std::vector<std::vector<at::Tensor>> gradients;
  // Float32 running statistics (StatisticsOf), for the few kinds that keep
  // some.
  std::vector<at::Tensor> statistics;
};

// What one microbatch brings from the data: by index of
// RankStage::data_inputs.
using MicrobatchData = std::vector<at::Tensor>;

// What an F computes.
struct ForwardRequest {
  // Its number here: of the step, or of the run where that is never drained.
  MicrobatchId microbatch;
  LayerContext context;
  MicrobatchData data;
  // Of the weights that it reads, and its R and backward.
  int slot = 0;
};

// Runs the layers of one stage on its microbatches: F records the graph between
// the tensors that came and those that leave; I differentiates it, sends the
// gradients of the inputs on and forgets it, but for what the weights'
// gradients are made of; W makes and adds these. B is I and then W. Of a
// microbatch that is recomputed F keeps only the inputs, and R, before I, runs
// the layers again and records. Microbatches may be in flight in any number and
// order. Where a plan cuts microbatches into pieces, a microbatch is a piece
// here.
//
// Main gradients are sums over the microbatches of an update, in the order of
// the W: the first of an update writes, the others add. The loss counts 1/m of
// each of these m, so the sums are the gradients of the mean. Microbatches of
// later updates may be in flight meanwhile; where their W come before the
// update that is next has been made, which a stage on several ranks waits for,
// there are main gradients for each. Used by one thread.
//
// All return INTERNAL when the microbatch is not where the op finds it in a
// sound list, or W not in the order that the schedule declares: an unsound list
// ends in an error, not in another number.
class StageModule {
 public:
  // `tensors`: one for each of the stage's layers.
  //   INVALID_ARGUMENT  as Layer::Make.
  static absl::StatusOr<StageModule> Make(const RankPlan& plan,
                                          const RankStage& stage,
                                          std::vector<LayerTensors> tensors);

  const RankStage& stage() const { return stage_; }

  // The next W writes the main gradients, which are `loss_scale` times those of
  // the loss; it and those after it are of the update's microbatches, which
  // count from `first`.
  void BeginUpdate(float loss_scale = 1.0f, MicrobatchId first = kFirst);

  // Takes the values on the incoming edges from `store`, puts those of the
  // outgoing edges there. The loss, where this stage computes it.
  //   as Layer::Forward.
  absl::StatusOr<std::optional<float>> Forward(ForwardRequest request,
                                               ActivationStore& store);

  // An F of a microbatch that has no backward and leaves nothing behind,
  // neither here nor in the running statistics; `request.context` is not of
  // training.
  absl::StatusOr<std::optional<float>> Evaluate(ForwardRequest request,
                                                ActivationStore& store);

  // R.
  absl::Status Recompute(MicrobatchId microbatch);

  // I: the same with gradients, the other way.
  absl::Status BackwardInput(MicrobatchId microbatch, ActivationStore& store);

  // W.
  absl::Status BackwardWeight(MicrobatchId microbatch);

  // B.
  absl::Status Backward(MicrobatchId microbatch, ActivationStore& store);

  // Of a stage on several ranks, after all its F: what the layers' statistics
  // of the update's microbatches are, a row for each, zeros for those of other
  // ranks; contiguous float32. The sum over the ranks, written over it, is what
  // `CommitStatistics` then takes. Undefined where no layer keeps any.
  at::Tensor StatisticsToReduce();

  // Moves the running statistics by those of an update's microbatches, which
  // count from `first`, in their order, whatever that of F was; a recompute
  // adds none. Once an update.
  absl::Status CommitStatistics(MicrobatchId first = kFirst);

  // Forgets all instead: the step does not count.
  void DropStatistics();

  // Microbatches between their F and their W.
  int num_in_flight() const { return static_cast<int>(in_flight_.size()); }

  // What the weight gradients hold that are put off now.
  int64_t weight_queue_bytes() const;

  // Whether all microbatches of the update that this rank runs are in the main
  // gradients.
  bool HasWholeGradient() const {
    return static_cast<int>(added_.size()) ==
           stage_.OwnPieces(first_.value() / num_of_update_);
  }
  MicrobatchId first_of_update() const { return first_; }

  // Makes main gradients zero that got nothing, as where this rank runs none of
  // the update's microbatches.
  void FinishGradients();

 private:
  static constexpr MicrobatchId kFirst{0};

  enum class Phase { kForwarded, kRecorded, kHasInputGradient };

  // What is kept of a microbatch.
  struct InFlight {
    Phase phase = Phase::kForwarded;
    ForwardRequest request;
    // By incoming edge; leaves.
    std::vector<at::Tensor> inputs;
    // Roots of the graph: outgoing tensors, each once, and the loss.
    std::vector<at::Tensor> roots;
    // On the heap, since the graph points to it.
    std::unique_ptr<WeightQueue> weight_queue;
  };

  // By layer.
  using Statistics = std::vector<std::vector<at::Tensor>>;
  // By layer and parameter.
  using Sums = std::vector<std::vector<GradientSum>>;

  StageModule() = default;

  // Where the gradients of the microbatch's update are.
  Sums& SumsOf(MicrobatchId microbatch) {
    return sums_[(microbatch.value() / num_of_update_) % sums_.size()];
  }

  absl::StatusOr<InFlight*> Find(MicrobatchId microbatch, Phase phase,
                                 const std::string& where);
  absl::Status CheckOrder(MicrobatchId microbatch,
                          const std::string& where) const;
  const std::vector<at::Tensor>& WeightsOf(size_t layer, int slot) const;
  absl::Status RunLayers(InFlight& flight, Statistics* statistics,
                         std::vector<at::Tensor>* outputs);
  // From the edges through the layers to the edges.
  absl::StatusOr<std::optional<float>> RunForward(InFlight& flight,
                                                  Statistics* statistics,
                                                  ActivationStore& store);
  absl::StatusOr<std::vector<at::Tensor>> RootGradients(MicrobatchId microbatch,
                                                        const InFlight& flight,
                                                        ActivationStore& store);
  void PutOffWeights(InFlight& flight);
  void TakeReducedStatistics(MicrobatchId first);

  RankStage stage_;
  std::vector<Layer> layers_;
  // By layer, slot and parameter; no slots where there are no parameters.
  std::vector<std::vector<std::vector<at::Tensor>>> weights_;
  // By slot; the number of an update, modulo the slots, has one.
  std::vector<Sums> sums_;
  Statistics running_statistics_;
  // By microbatch: of those whose update has not come.
  std::map<MicrobatchId, Statistics> statistics_;
  // Those of all ranks, by microbatch, of each update that is being reduced, by
  // its first one.
  std::map<MicrobatchId, at::Tensor> reduced_statistics_;
  // Positions of the layers whose outputs leave, ascending.
  std::vector<int> root_positions_;
  std::map<MicrobatchId, InFlight> in_flight_;
  float loss_scale_ = 1.0f;
  // The update's microbatches, on all ranks, count from `first_`.
  MicrobatchId first_ = kFirst;
  int num_of_update_ = 0;
  AccumulationOrder order_ = AccumulationOrder::kAscending;
  int pieces_per_microbatch_ = 1;
  // What is in the main gradients, and the last of it.
  std::set<MicrobatchId> added_;
  MicrobatchId last_added_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_STAGE_MODULE_H_
