#ifndef PENSTOCK_STAGE_SERVER_ENGINE_STAGE_MODULE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_STAGE_MODULE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "models/layers/layer.h"
#include "stage_server/engine/activation_store.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {

// The tensors of one layer's parameters, in their order.
struct LayerTensors {
  // Leaves of the weights' type.
  std::vector<at::Tensor> weights;
  // Float32 main gradients of the same shapes.
  std::vector<at::Tensor> gradients;
};

// What one microbatch brings from the data: by index of
// RankStage::data_inputs.
using MicrobatchData = std::vector<at::Tensor>;

// Runs the layers of one stage: F records the graph between the tensors that
// came and those that leave, B differentiates it and forgets it. Microbatches
// may be in flight in any number and order.
//
// Main gradients are sums in the order of the B: the first of a step writes,
// the others add. The loss counts 1/m of each microbatch, so the sums are the
// gradients of the mean. Used by one thread.
class StageModule {
 public:
  // `tensors`: one for each of the stage's layers.
  //   INVALID_ARGUMENT  as Layer::Make.
  static absl::StatusOr<StageModule> Make(const RankPlan& plan,
                                          const RankStage& stage,
                                          std::vector<LayerTensors> tensors);

  const RankStage& stage() const { return stage_; }

  // The next B writes the main gradients.
  void BeginStep() { accumulating_ = false; }

  // Takes the values on the incoming edges from `store`, puts those of the
  // outgoing edges there. The loss, where this stage computes it.
  //   as Layer::Forward; INTERNAL when the microbatch is in flight already.
  absl::StatusOr<std::optional<float>> Forward(const LayerContext& context,
                                               const MicrobatchData& data,
                                               ActivationStore& store);

  // The same with gradients, the other way.
  absl::Status Backward(MicrobatchId microbatch, ActivationStore& store);

  // Microbatches between their F and their B.
  int num_in_flight() const { return num_in_flight_; }

 private:
  // What B needs of F.
  struct InFlight {
    // By incoming edge; leaves.
    std::vector<at::Tensor> inputs;
    // Roots of the graph: outgoing tensors, each once, and the loss.
    std::vector<at::Tensor> roots;
  };

  StageModule() = default;

  absl::Status RunLayers(const LayerContext& context,
                         const MicrobatchData& data,
                         const std::vector<at::Tensor>& inputs,
                         std::vector<at::Tensor>* outputs) const;
  absl::StatusOr<std::vector<at::Tensor>> RootGradients(MicrobatchId microbatch,
                                                        const InFlight& flight,
                                                        ActivationStore& store);
  void Accumulate(absl::Span<const at::Tensor> gradients);

  RankStage stage_;
  std::vector<Layer> layers_;
  std::vector<LayerTensors> tensors_;
  // Positions of the layers whose outputs leave, ascending.
  std::vector<int> root_positions_;
  std::vector<std::optional<InFlight>> in_flight_;
  int num_in_flight_ = 0;
  bool accumulating_ = false;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_STAGE_MODULE_H_
