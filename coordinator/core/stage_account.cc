#include "coordinator/core/stage_account.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "coordinator/core/job_check.h"
#include "models/graph/kept_by_layers.h"
#include "models/graph/layer_kinds.h"

namespace penstock {
namespace {

void AddOnce(const HeldTensor& tensor, std::vector<HeldTensor>* all) {
  for (const HeldTensor& known : *all) {
    if (known.id == tensor.id) return;
  }
  all->push_back(tensor);
}

}  // namespace

int64_t StageAccount::weight_queue_bytes() const {
  int64_t bytes = own_until_weight_gradient + gradients_until_weight_gradient;
  for (const HeldTensor& tensor : until_weight_gradient) bytes += tensor.bytes;
  return bytes;
}

absl::StatusOr<StageAccounts> StageAccounts::Make(const Plan& plan,
                                                  const Schedule& schedule,
                                                  const Graph& graph) {
  StageAccounts accounts;
  accounts.graph_ = graph;
  accounts.edges_ = schedule.edges;
  accounts.activation_bytes_ = plan.job().dtype() == kFloat32 ? 4 : 2;
  accounts.pieces_ = std::max(1, plan.pieces_per_microbatch());
  PENSTOCK_ASSIGN_OR_RETURN(accounts.shapes_, InferShapes(graph));
  PENSTOCK_ASSIGN_OR_RETURN(accounts.kept_,
                            KeptByLayers(graph, accounts.activation_bytes_));
  for (int i = 0; i < accounts.num_layers(); ++i) {
    accounts.layer_of_name_[graph.layers[i].name] = i;
  }
  accounts.stage_of_.resize(graph.layers.size());
  for (int stage = 0; stage < plan.stages_size(); ++stage) {
    for (const std::string& name : plan.stages(stage).layers()) {
      accounts.stage_of_[accounts.layer_of_name_.at(name)] = stage;
    }
  }
  accounts.in_edges_.resize(plan.stages_size());
  accounts.out_edges_.resize(plan.stages_size());
  for (int i = 0; i < accounts.num_edges(); ++i) {
    const Edge& edge = accounts.edges_[i];
    if (edge.kind != EdgeKind::kActivation) continue;
    accounts.in_edges_[edge.to.value()].push_back(EdgeId(i));
    accounts.out_edges_[edge.from.value()].push_back(EdgeId(i));
  }
  return accounts;
}

// Numbers: outputs of layers, the same made again, messages, gradients, data by
// stage.
HeldTensor StageAccounts::OutputOf(const Key& key, int layer) const {
  const LayerSpec& spec = graph_.layers[layer];
  if (kept_[layer].aliases_input && stage_of_[layer] == key.stage) {
    return Resolve(key, spec.inputs[0]);
  }
  const bool again = key.again && stage_of_[layer] == key.stage;
  const int64_t bytes =
      shapes_.at(spec.name).shape.empty()
          ? 4
          : BytesOf(shapes_.at(spec.name), activation_bytes_) / pieces_;
  return {again ? num_layers() + layer : layer, bytes};
}

HeldTensor StageAccounts::Received(EdgeId edge) const {
  const TensorShape& shape = shapes_.at(edges_[edge.value()].tensor);
  return {2 * num_layers() + edge.value(),
          BytesOf(shape, activation_bytes_) / pieces_};
}

HeldTensor StageAccounts::Gradient(EdgeId edge) const {
  HeldTensor held = Received(edge);
  held.id += num_edges();
  const TensorShape& shape = shapes_.at(edges_[edge.value()].tensor);
  if (shape.element_type == ElementType::kInt64) held.bytes = 0;
  return held;
}

HeldTensor StageAccounts::Resolve(const Key& key,
                                  const std::string& name) const {
  const auto layer = layer_of_name_.find(name);
  if (layer == layer_of_name_.end()) {
    const auto input = shapes_.find(name);
    const int place = static_cast<int>(std::distance(shapes_.begin(), input));
    const int first = 2 * num_layers() + 2 * num_edges();
    return {first + key.stage * static_cast<int>(shapes_.size()) + place,
            BytesOf(input->second, activation_bytes_) / pieces_};
  }
  if (stage_of_[layer->second] == key.stage) {
    return OutputOf(key, layer->second);
  }
  const std::vector<EdgeId>& in_edges = in_edges_[key.stage];
  for (size_t i = 0; i < in_edges.size(); ++i) {
    if (edges_[in_edges[i].value()].tensor != name) continue;
    if (key.came[i]) return Received(in_edges[i]);
  }
  return OutputOf(key, layer->second);
}

StageAccount StageAccounts::MakeAccount(const Key& key) const {
  StageAccount account;
  account.in_edges = in_edges_[key.stage];
  account.out_edges = out_edges_[key.stage];
  for (const EdgeId edge : account.in_edges) {
    account.inputs.push_back(Resolve(key, edges_[edge.value()].tensor));
  }
  for (const EdgeId edge : account.out_edges) {
    account.outputs.push_back(Resolve(key, edges_[edge.value()].tensor));
  }
  // Its leaves and roots stay until I.
  for (const std::vector<HeldTensor>* tensors :
       {&account.inputs, &account.outputs}) {
    for (const HeldTensor& tensor : *tensors) {
      AddOnce(tensor, &account.until_input_gradient);
    }
  }
  for (int i = 0; i < num_layers(); ++i) {
    if (stage_of_[i] != key.stage) continue;
    const LayerSpec& layer = graph_.layers[i];
    const KeptTensors& kept = kept_[i];
    for (const std::string& input : layer.inputs) {
      if (layer_of_name_.count(input) > 0) continue;
      AddOnce(Resolve(key, input), &account.data);
    }
    for (const int input : kept.inputs_until_input_gradient) {
      AddOnce(Resolve(key, layer.inputs[input]), &account.until_input_gradient);
    }
    if (kept.output_until_input_gradient) {
      AddOnce(OutputOf(key, i), &account.until_input_gradient);
    }
    for (const int input : kept.inputs_until_weight_gradient) {
      AddOnce(Resolve(key, layer.inputs[input]),
              &account.until_weight_gradient);
    }
    account.own_until_input_gradient += kept.own_until_input_gradient;
    account.own_until_weight_gradient += kept.own_until_weight_gradient;
    account.gradients_until_weight_gradient +=
        kept.gradients_until_weight_gradient;
  }
  account.own_until_input_gradient /= pieces_;
  account.own_until_weight_gradient /= pieces_;
  account.gradients_until_weight_gradient /= pieces_;
  return account;
}

const StageAccount& StageAccounts::Of(StageId stage,
                                      const std::vector<bool>& came,
                                      bool again) {
  const Key key = {stage.value(), came, again};
  const auto found = made_.find(key);
  if (found != made_.end()) return found->second;
  return made_.emplace(key, MakeAccount(key)).first->second;
}

}  // namespace penstock
