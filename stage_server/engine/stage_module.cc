#include "stage_server/engine/stage_module.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "models/layers/torch_status.h"

namespace penstock {
namespace {

std::string Where(const char* op, StageId stage, int64_t microbatch) {
  return absl::StrCat("stage ", stage.value(), " ", op, " of microbatch ",
                      microbatch);
}

}  // namespace

absl::StatusOr<StageModule> StageModule::Make(
    const RankPlan& plan, const RankStage& stage,
    std::vector<LayerTensors> tensors) {
  StageModule module;
  module.stage_ = stage;
  module.tensors_ = std::move(tensors);
  for (const StageLayer& layer : stage.layers) {
    PENSTOCK_ASSIGN_OR_RETURN(Layer made,
                              Layer::Make(plan.graph.layers[layer.layer]));
    module.layers_.push_back(std::move(made));
  }
  std::set<int> roots;
  for (const StageEdge& edge : stage.out_edges) {
    roots.insert(edge.layer_position);
  }
  if (stage.loss_position.has_value()) roots.insert(*stage.loss_position);
  module.root_positions_.assign(roots.begin(), roots.end());
  module.in_flight_.resize(plan.schedule.num_microbatches);
  return module;
}

absl::Status StageModule::RunLayers(const LayerContext& context,
                                    const MicrobatchData& data,
                                    const std::vector<at::Tensor>& inputs,
                                    std::vector<at::Tensor>* outputs) const {
  for (size_t i = 0; i < layers_.size(); ++i) {
    std::vector<at::Tensor> taken;
    for (const InputSource& source : stage_.layers[i].inputs) {
      switch (source.kind) {
        case InputSource::Kind::kData:
          taken.push_back(data[source.index]);
          break;
        case InputSource::Kind::kLayer:
          taken.push_back((*outputs)[source.index]);
          break;
        case InputSource::Kind::kEdge:
          taken.push_back(inputs[source.index]);
          break;
      }
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        at::Tensor output,
        layers_[i].Forward(tensors_[i].weights, taken, context));
    outputs->push_back(std::move(output));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<float>> StageModule::Forward(
    const LayerContext& context, const MicrobatchData& data,
    ActivationStore& store) {
  const MicrobatchId microbatch(static_cast<int>(context.microbatch));
  const std::string where = Where("F", stage_.id, context.microbatch);
  std::optional<InFlight>& place = in_flight_[microbatch.value()];
  if (place.has_value()) {
    return absl::InternalError(absl::StrCat(where, ": already in flight"));
  }
  return CatchTorch(where, [&]() -> absl::StatusOr<std::optional<float>> {
    const at::AutoGradMode record(true);
    InFlight flight;
    for (const StageEdge& edge : stage_.in_edges) {
      PENSTOCK_ASSIGN_OR_RETURN(
          at::Tensor value,
          store.Take(Direction::kForward, edge.edge, microbatch));
      value = value.detach();
      if (value.is_floating_point()) value.requires_grad_();
      flight.inputs.push_back(std::move(value));
    }
    std::vector<at::Tensor> outputs;
    PENSTOCK_RETURN_IF_ERROR(
        WithContext(RunLayers(context, data, flight.inputs, &outputs), where));
    for (const StageEdge& edge : stage_.out_edges) {
      PENSTOCK_RETURN_IF_ERROR(
          store.Put(Direction::kForward, edge.edge, microbatch,
                    outputs[edge.layer_position].detach()));
    }
    for (const int position : root_positions_) {
      flight.roots.push_back(outputs[position]);
    }
    std::optional<float> loss;
    if (stage_.loss_position.has_value()) {
      loss = outputs[*stage_.loss_position].item<float>();
    }
    place = std::move(flight);
    ++num_in_flight_;
    return loss;
  });
}

// A tensor that several stages used has the sum of their gradients, the latest
// user's first: the order in which autograd adds them in an uncut graph.
absl::StatusOr<std::vector<at::Tensor>> StageModule::RootGradients(
    MicrobatchId microbatch, const InFlight& flight, ActivationStore& store) {
  std::vector<StageEdge> edges = stage_.out_edges;
  std::stable_sort(
      edges.begin(), edges.end(),
      [](const StageEdge& a, const StageEdge& b) { return a.other > b.other; });
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < root_positions_.size(); ++i) {
    at::Tensor gradient;
    if (root_positions_[i] == stage_.loss_position) {
      gradient = at::full({}, 1.0f / static_cast<float>(in_flight_.size()),
                          flight.roots[i].options());
    }
    for (const StageEdge& edge : edges) {
      if (edge.layer_position != root_positions_[i]) continue;
      PENSTOCK_ASSIGN_OR_RETURN(
          const at::Tensor part,
          store.Take(Direction::kBackward, edge.edge, microbatch));
      gradient = gradient.defined() ? gradient.add(part) : part;
    }
    gradients.push_back(std::move(gradient));
  }
  return gradients;
}

void StageModule::Accumulate(absl::Span<const at::Tensor> gradients) {
  size_t next = 0;
  for (const LayerTensors& layer : tensors_) {
    for (const at::Tensor& sum : layer.gradients) {
      const at::Tensor& gradient = gradients[next++];
      if (accumulating_) {
        if (gradient.defined()) sum.add_(gradient);
      } else if (gradient.defined()) {
        sum.copy_(gradient);
      } else {
        sum.zero_();
      }
    }
  }
  accumulating_ = true;
}

absl::Status StageModule::Backward(MicrobatchId microbatch,
                                   ActivationStore& store) {
  const std::string where = Where("B", stage_.id, microbatch.value());
  std::optional<InFlight>& place = in_flight_[microbatch.value()];
  if (!place.has_value()) {
    return absl::InternalError(absl::StrCat(where, ": not in flight"));
  }
  const InFlight flight = *std::exchange(place, std::nullopt);
  --num_in_flight_;
  return CatchTorch(where, [&]() -> absl::Status {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<at::Tensor> seeds,
                              RootGradients(microbatch, flight, store));
    std::vector<at::Tensor> targets;
    for (const LayerTensors& layer : tensors_) {
      targets.insert(targets.end(), layer.weights.begin(), layer.weights.end());
    }
    const size_t num_weights = targets.size();
    for (const at::Tensor& input : flight.inputs) {
      if (input.requires_grad()) targets.push_back(input);
    }
    const std::vector<at::Tensor> gradients = torch::autograd::grad(
        flight.roots, targets, seeds, /*retain_graph=*/false,
        /*create_graph=*/false, /*allow_unused=*/true);
    const at::NoGradGuard no_grad;
    Accumulate(absl::MakeSpan(gradients).first(num_weights));
    size_t next = num_weights;
    for (size_t i = 0; i < flight.inputs.size(); ++i) {
      const at::Tensor& input = flight.inputs[i];
      if (!input.requires_grad()) continue;
      const at::Tensor& gradient = gradients[next++];
      PENSTOCK_RETURN_IF_ERROR(store.Put(
          Direction::kBackward, stage_.in_edges[i].edge, microbatch,
          gradient.defined() ? gradient.contiguous() : at::zeros_like(input)));
    }
    return absl::OkStatus();
  });
}

}  // namespace penstock
