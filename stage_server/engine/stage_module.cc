#include "stage_server/engine/stage_module.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
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
  size_t num_slots = 1;
  for (const LayerTensors& layer : tensors) {
    num_slots = std::max(num_slots, layer.gradients.size());
  }
  module.sums_.resize(num_slots);
  for (LayerTensors& layer : tensors) {
    layer.gradients.resize(num_slots);
    for (size_t slot = 0; slot < num_slots; ++slot) {
      module.sums_[slot].emplace_back(layer.gradients[slot].begin(),
                                      layer.gradients[slot].end());
    }
    module.weights_.push_back(std::move(layer.weights));
    module.running_statistics_.push_back(std::move(layer.statistics));
  }
  for (const StageLayer& layer : stage.layers) {
    PENSTOCK_ASSIGN_OR_RETURN(Layer made,
                              Layer::Make(plan.graph.layers[layer.layer]));
    module.layers_.push_back(std::move(made));
  }
  std::set<int> roots;
  for (const EdgeEnd& edge : stage.out_edges) {
    roots.insert(edge.layer_position);
  }
  if (stage.loss_position.has_value()) roots.insert(*stage.loss_position);
  module.root_positions_.assign(roots.begin(), roots.end());
  module.num_of_update_ = plan.PiecesPerUpdate(stage.id);
  module.order_ = plan.schedule.accumulation;
  module.pieces_per_microbatch_ = plan.pieces_per_microbatch;
  return module;
}

void StageModule::BeginUpdate(float loss_scale, MicrobatchId first) {
  loss_scale_ = loss_scale;
  first_ = first;
  added_.clear();
  for (std::vector<GradientSum>& layer : SumsOf(first)) {
    for (GradientSum& sum : layer) sum.BeginStep();
  }
}

const std::vector<at::Tensor>& StageModule::WeightsOf(size_t layer,
                                                      int slot) const {
  static const auto* const none = new std::vector<at::Tensor>;
  return weights_[layer].empty() ? *none : weights_[layer][slot];
}

absl::StatusOr<StageModule::InFlight*> StageModule::Find(
    MicrobatchId microbatch, Phase phase, const std::string& where) {
  const auto found = in_flight_.find(microbatch);
  if (found == in_flight_.end()) {
    return absl::InternalError(absl::StrCat(where, ": not in flight"));
  }
  InFlight& flight = found->second;
  if (flight.phase == phase) return &flight;
  const char* why = "its R has not run";
  if (flight.phase == Phase::kRecorded) {
    why = phase == Phase::kForwarded ? "it is recorded" : "its I has not run";
  } else if (flight.phase == Phase::kHasInputGradient) {
    why = "its I has run";
  }
  return absl::InternalError(absl::StrCat(where, ": ", why));
}

// With recording on, what the weights' gradients will be made of goes to the
// flight's queue. `statistics` may be null.
absl::Status StageModule::RunLayers(InFlight& flight, Statistics* statistics,
                                    std::vector<at::Tensor>* outputs) {
  if (statistics != nullptr) statistics->resize(layers_.size());
  if (at::GradMode::is_enabled()) {
    flight.weight_queue = std::make_unique<WeightQueue>();
  }
  Sums& sums = SumsOf(flight.request.microbatch);
  for (size_t i = 0; i < layers_.size(); ++i) {
    std::vector<at::Tensor> taken;
    for (const InputSource& source : stage_.layers[i].inputs) {
      switch (source.kind) {
        case InputSource::Kind::kData:
          taken.push_back(flight.request.data[source.index]);
          break;
        case InputSource::Kind::kLayer:
          taken.push_back((*outputs)[source.index]);
          break;
        case InputSource::Kind::kEdge:
          taken.push_back(flight.inputs[source.index]);
          break;
      }
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        at::Tensor output,
        layers_[i].Forward(
            WeightsOf(i, flight.request.slot), taken, flight.request.context,
            {flight.weight_queue.get(), absl::MakeSpan(sums[i]),
             statistics == nullptr ? nullptr : &(*statistics)[i]}));
    outputs->push_back(std::move(output));
  }
  if (!at::GradMode::is_enabled()) return absl::OkStatus();
  flight.request.data.clear();
  for (const int position : root_positions_) {
    flight.roots.push_back((*outputs)[position]);
  }
  flight.phase = Phase::kRecorded;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<float>> StageModule::Forward(
    ForwardRequest request, ActivationStore& store) {
  const MicrobatchId microbatch = request.microbatch;
  const std::string where = Where("F", stage_.id, microbatch.value());
  const auto [place, is_new] = in_flight_.try_emplace(microbatch);
  if (!is_new) {
    return absl::InternalError(absl::StrCat(where, ": already in flight"));
  }
  InFlight* const flight = &place->second;
  flight->request = std::move(request);
  return CatchTorch(where, [&]() -> absl::StatusOr<std::optional<float>> {
    const at::AutoGradMode record(!stage_.IsRecomputed(microbatch));
    auto loss = RunForward(*flight, &statistics_[microbatch], store);
    if (!loss.ok()) return WithContext(loss.status(), where);
    return loss;
  });
}

absl::StatusOr<std::optional<float>> StageModule::Evaluate(
    ForwardRequest request, ActivationStore& store) {
  const std::string where =
      Where("evaluation", stage_.id, request.microbatch.value());
  return CatchTorch(where, [&]() -> absl::StatusOr<std::optional<float>> {
    const at::NoGradGuard no_grad;
    InFlight flight;
    flight.request = std::move(request);
    // What a layer normalises by where it does not train.
    Statistics running = running_statistics_;
    auto loss = RunForward(flight, &running, store);
    if (!loss.ok()) return WithContext(loss.status(), where);
    return loss;
  });
}

absl::StatusOr<std::optional<float>> StageModule::RunForward(
    InFlight& flight, Statistics* statistics, ActivationStore& store) {
  const MicrobatchId microbatch = flight.request.microbatch;
  for (const EdgeEnd& edge : stage_.in_edges) {
    PENSTOCK_ASSIGN_OR_RETURN(
        at::Tensor value,
        store.Take(Direction::kForward, edge.edge, microbatch));
    value = value.detach();
    if (value.is_floating_point()) value.requires_grad_();
    flight.inputs.push_back(std::move(value));
  }
  std::vector<at::Tensor> outputs;
  PENSTOCK_RETURN_IF_ERROR(RunLayers(flight, statistics, &outputs));
  for (const EdgeEnd& edge : stage_.out_edges) {
    PENSTOCK_RETURN_IF_ERROR(store.Put(Direction::kForward, edge.edge,
                                       microbatch,
                                       outputs[edge.layer_position].detach()));
  }
  if (!stage_.loss_position.has_value()) return std::nullopt;
  return outputs[*stage_.loss_position].item<float>();
}

absl::Status StageModule::Recompute(MicrobatchId microbatch) {
  const std::string where = Where("R", stage_.id, microbatch.value());
  PENSTOCK_ASSIGN_OR_RETURN(InFlight* const flight,
                            Find(microbatch, Phase::kForwarded, where));
  return CatchTorch(where, [&]() -> absl::Status {
    const at::AutoGradMode record(true);
    std::vector<at::Tensor> outputs;
    return WithContext(RunLayers(*flight, /*statistics=*/nullptr, &outputs),
                       where);
  });
}

// A tensor that several stages used has the sum of their gradients, the latest
// user's first: the order in which autograd adds them in an uncut graph.
absl::StatusOr<std::vector<at::Tensor>> StageModule::RootGradients(
    MicrobatchId microbatch, const InFlight& flight, ActivationStore& store) {
  std::vector<EdgeEnd> edges = stage_.out_edges;
  std::stable_sort(
      edges.begin(), edges.end(),
      [](const EdgeEnd& a, const EdgeEnd& b) { return a.other > b.other; });
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < root_positions_.size(); ++i) {
    at::Tensor gradient;
    if (root_positions_[i] == stage_.loss_position) {
      gradient = at::full({}, loss_scale_ / static_cast<float>(num_of_update_),
                          flight.roots[i].options());
    }
    for (const EdgeEnd& edge : edges) {
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

// Gradients that autograd gave to weights, of operators that do not split:
// they go where the others are.
void StageModule::PutOffWeights(InFlight& flight) {
  Sums& sums = SumsOf(flight.request.microbatch);
  for (size_t i = 0; i < weights_.size(); ++i) {
    const std::vector<at::Tensor>& weights = WeightsOf(i, flight.request.slot);
    for (size_t k = 0; k < weights.size(); ++k) {
      at::Tensor& gradient = weights[k].mutable_grad();
      if (!gradient.defined()) continue;
      flight.weight_queue->Push(
          [sum = &sums[i][k], gradient] { sum->Add(gradient); }, {&gradient});
      gradient.reset();
    }
  }
}

absl::Status StageModule::BackwardInput(MicrobatchId microbatch,
                                        ActivationStore& store) {
  const std::string where = Where("I", stage_.id, microbatch.value());
  PENSTOCK_ASSIGN_OR_RETURN(InFlight* const flight,
                            Find(microbatch, Phase::kRecorded, where));
  return CatchTorch(where, [&]() -> absl::Status {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<at::Tensor> seeds,
                              RootGradients(microbatch, *flight, store));
    // Not torch::autograd::grad by inputs: it would leave out the operators
    // that lead to weights alone, like an embedding.
    torch::autograd::backward(flight->roots, seeds);
    flight->roots.clear();
    PutOffWeights(*flight);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < flight->inputs.size(); ++i) {
      const at::Tensor& input = flight->inputs[i];
      if (!input.requires_grad()) continue;
      const at::Tensor& gradient = input.grad();
      PENSTOCK_RETURN_IF_ERROR(store.Put(
          Direction::kBackward, stage_.in_edges[i].edge, microbatch,
          gradient.defined() ? gradient.contiguous() : at::zeros_like(input)));
    }
    flight->inputs.clear();
    flight->phase = Phase::kHasInputGradient;
    return absl::OkStatus();
  });
}

// Descending is by whole microbatch: of one the first piece comes first.
absl::Status StageModule::CheckOrder(MicrobatchId microbatch,
                                     const std::string& where) const {
  const int end = first_.value() + num_of_update_;
  if (microbatch < first_ || microbatch.value() >= end) {
    return absl::InternalError(
        absl::StrCat(where, ": the next update is of microbatches ",
                     first_.value(), " to ", end - 1));
  }
  if (added_.empty()) return absl::OkStatus();
  if (added_.count(microbatch) > 0) {
    return absl::InternalError(absl::StrCat(where, ": it has run"));
  }
  if (order_ == AccumulationOrder::kAsListed) return absl::OkStatus();
  const int last = last_added_.value();
  const int last_whole = last / pieces_per_microbatch_;
  const int whole = microbatch.value() / pieces_per_microbatch_;
  const bool in_order =
      whole == last_whole
          ? microbatch.value() > last
          : (order_ == AccumulationOrder::kAscending) == (whole > last_whole);
  if (in_order) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(where, ": it comes after that of ", last,
                   ", not in the order that the schedule declares"));
}

absl::Status StageModule::BackwardWeight(MicrobatchId microbatch) {
  const std::string where = Where("W", stage_.id, microbatch.value());
  PENSTOCK_RETURN_IF_ERROR(CheckOrder(microbatch, where));
  PENSTOCK_ASSIGN_OR_RETURN(InFlight* const flight,
                            Find(microbatch, Phase::kHasInputGradient, where));
  return CatchTorch(where, [&] {
    const at::NoGradGuard no_grad;
    flight->weight_queue->Run();
    FinishGradients();
    in_flight_.erase(microbatch);
    added_.insert(microbatch);
    last_added_ = microbatch;
  });
}

int64_t StageModule::weight_queue_bytes() const {
  int64_t bytes = 0;
  for (const auto& [microbatch, flight] : in_flight_) {
    if (flight.phase != Phase::kHasInputGradient) continue;
    bytes += flight.weight_queue->held_bytes();
  }
  return bytes;
}

void StageModule::FinishGradients() {
  for (std::vector<GradientSum>& layer : SumsOf(first_)) {
    for (GradientSum& sum : layer) sum.Finish();
  }
}

at::Tensor StageModule::StatisticsToReduce() {
  at::TensorOptions options;
  int64_t width = 0;
  for (const std::vector<at::Tensor>& layer : running_statistics_) {
    for (const at::Tensor& statistic : layer) {
      options = statistic.options();
      width += statistic.numel();
    }
  }
  if (width == 0) return {};
  at::Tensor& reduced = reduced_statistics_[first_];
  reduced = at::zeros({num_of_update_, width}, options);
  const auto end =
      statistics_.lower_bound(MicrobatchId(first_.value() + num_of_update_));
  for (auto of_one = statistics_.lower_bound(first_); of_one != end; ++of_one) {
    int64_t offset = 0;
    for (const std::vector<at::Tensor>& layer : of_one->second) {
      for (const at::Tensor& statistic : layer) {
        const int64_t size = statistic.numel();
        reduced.select(0, of_one->first.value() - first_.value())
            .narrow(0, offset, size)
            .copy_(statistic.reshape({size}));
        offset += size;
      }
    }
  }
  return reduced;
}

void StageModule::TakeReducedStatistics(MicrobatchId first) {
  const auto found = reduced_statistics_.find(first);
  if (found == reduced_statistics_.end()) return;
  for (int i = 0; i < num_of_update_; ++i) {
    Statistics& of_microbatch = statistics_[MicrobatchId(first.value() + i)];
    of_microbatch.assign(layers_.size(), {});
    int64_t offset = 0;
    for (size_t layer = 0; layer < layers_.size(); ++layer) {
      for (const at::Tensor& running : running_statistics_[layer]) {
        const int64_t size = running.numel();
        of_microbatch[layer].push_back(found->second.select(0, i)
                                           .narrow(0, offset, size)
                                           .view(running.sizes()));
        offset += size;
      }
    }
  }
  reduced_statistics_.erase(found);
}

absl::Status StageModule::CommitStatistics(MicrobatchId first) {
  TakeReducedStatistics(first);
  const auto end =
      statistics_.lower_bound(MicrobatchId(first.value() + num_of_update_));
  for (auto of_one = statistics_.begin(); of_one != end; ++of_one) {
    for (size_t i = 0; i < of_one->second.size(); ++i) {
      if (running_statistics_[i].empty()) continue;
      PENSTOCK_RETURN_IF_ERROR(layers_[i].CommitStatistics(
          of_one->second[i], running_statistics_[i]));
    }
  }
  statistics_.erase(statistics_.begin(), end);
  return absl::OkStatus();
}

void StageModule::DropStatistics() {
  statistics_.clear();
  reduced_statistics_.clear();
}

absl::Status StageModule::Backward(MicrobatchId microbatch,
                                   ActivationStore& store) {
  PENSTOCK_RETURN_IF_ERROR(BackwardInput(microbatch, store));
  return BackwardWeight(microbatch);
}

}  // namespace penstock
