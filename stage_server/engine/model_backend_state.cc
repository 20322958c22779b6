#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/torch_status.h"
#include "stage_server/engine/model_backend.h"

namespace penstock {
namespace {

// Each layer and kind begins at a multiple of it.
constexpr int64_t kAlignment = 64;

constexpr ShardFile::Kind kKinds[] = {ShardFile::WEIGHTS, ShardFile::OPTIMIZER,
                                      ShardFile::OLDER_VERSIONS};

StoredType StoredTypeOf(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
      return StoredType::kBFloat16;
    case at::kHalf:
      return StoredType::kFloat16;
    default:
      return StoredType::kFloat32;
  }
}

// A host tensor of `values`' type and shape over other memory.
at::Tensor Over(std::byte* bytes, const at::Tensor& values) {
  return at::from_blob(bytes, values.sizes(), values.scalar_type());
}

absl::Span<std::byte> BytesOf(const at::Tensor& host) {
  return {static_cast<std::byte*>(host.mutable_data_ptr()),
          static_cast<size_t>(host.nbytes())};
}

auto ByLayerAndKind(const EngineSnapshot::Entry& entry) {
  return std::tuple(entry.tensor.layer, entry.tensor.kind);
}

}  // namespace

StateTensor ModelBackend::StateTensorOf(ShardFile::Kind kind, int layer,
                                        std::string name,
                                        const at::Tensor& values) const {
  return {layer,
          plan_.graph.layers[layer].name,
          kind,
          std::move(name),
          StoredTypeOf(values.scalar_type()),
          values.sizes().vec()};
}

std::vector<ModelBackend::BoundTensor> ModelBackend::StateOfLayer(
    const Part& part, size_t position, ShardFile::Kind kind) const {
  std::vector<BoundTensor> state;
  const WeightStore& weights = *part.weights;
  const int layer = part.module->stage().layers[position].layer;
  const auto add = [&](std::string name, at::Tensor values) {
    StateTensor tensor = StateTensorOf(kind, layer, std::move(name), values);
    state.push_back({std::move(tensor), std::move(values)});
  };
  const auto [first, count] = part.owned[position];
  for (int i = first; i < first + count; ++i) {
    const std::string& name = weights.parameters()[i].name;
    if (kind == ShardFile::WEIGHTS) {
      add(name, weights.Master(i));
    } else if (kind == ShardFile::OPTIMIZER) {
      int moment = 0;
      for (const absl::string_view of_moment : optimizer_.moment_names()) {
        add(absl::StrCat(name, "/", of_moment), weights.Moment(i, moment++));
      }
    } else {
      for (int64_t version = weights.newest_version() - 1;
           version >= weights.oldest_version(); --version) {
        add(absl::StrCat(name, "@", weights.newest_version() - version),
            weights.Weight(i, version));
      }
    }
  }
  const auto statistics = StatisticsOf(plan_.graph.layers[layer]);
  if (kind != ShardFile::WEIGHTS || !statistics.ok()) return state;
  for (size_t i = 0; i < statistics->size(); ++i) {
    add((*statistics)[i].name, part.statistics[position][i]);
  }
  return state;
}

std::vector<ModelBackend::BoundTensor> ModelBackend::StateOf(
    const Part& part) const {
  std::vector<BoundTensor> state;
  for (size_t i = 0; i < part.owned.size(); ++i) {
    for (const ShardFile::Kind kind : kKinds) {
      for (BoundTensor& bound : StateOfLayer(part, i, kind)) {
        state.push_back(std::move(bound));
      }
    }
  }
  return state;
}

// ---- Out ------------------------------------------------------------------

absl::Status ModelBackend::PlanSnapshot(int64_t step) {
  taking_.reset();
  if (runs_on()) {
    for (const auto& [id, part] : parts_) {
      if (part.weights->newest_version() <= step * UpdatesPerStep(id)) continue;
      return absl::OutOfRangeError(
          absl::StrCat("stage ", id.value(), " has made update ",
                       part.weights->newest_version(), ", step ", step,
                       " ends with ", step * UpdatesPerStep(id)));
    }
  }
  taking_.emplace();
  taking_->step = step;
  for (auto& [id, part] : parts_) {
    if (plan_.FirstRankOf(id) == plan_.rank) taking_->waiting.insert(id);
  }
  if (!runs_on()) return absl::OkStatus();
  for (auto& [id, part] : parts_) CopyIfDue(part);
  return absl::OkStatus();
}

void ModelBackend::CopyIfDue(Part& part) {
  if (!taking_.has_value()) return;
  const StageId id = part.module->stage().id;
  if (part.weights->newest_version() == taking_->step * UpdatesPerStep(id)) {
    Copy(part);
  }
}

// Of a stage that is not waited for: nothing.
void ModelBackend::Copy(Part& part) {
  const StageId id = part.module->stage().id;
  if (taking_->waiting.erase(id) == 0 || !taking_->status.ok()) return;
  const int64_t start = MonotonicNanos();
  const std::vector<BoundTensor> state = StateOf(part);
  std::vector<int64_t> offsets;
  int64_t size = 0;
  for (size_t i = 0; i < state.size(); ++i) {
    const StateTensor& tensor = state[i].tensor;
    if (i == 0 || state[i - 1].tensor.layer != tensor.layer ||
        state[i - 1].tensor.kind != tensor.kind) {
      size = (size + kAlignment - 1) / kAlignment * kAlignment;
    }
    offsets.push_back(size);
    size += tensor.size_bytes();
  }
  auto memory = part.snapshot_memory.Get(size);
  if (!memory.ok()) {
    taking_->status = memory.status();
    return;
  }
  taking_->status = CatchTorch("taking a snapshot", [&] {
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < state.size(); ++i) {
      std::byte* const bytes = memory->get() + offsets[i];
      Over(bytes, state[i].values).copy_(state[i].values);
      taking_->snapshot.tensors.push_back(
          {state[i].tensor,
           {bytes, static_cast<size_t>(state[i].tensor.size_bytes())}});
      taking_->snapshot.size_bytes += state[i].tensor.size_bytes();
    }
  });
  taking_->memory.push_back(*std::move(memory));
  StageState& stage = *taking_->snapshot.state.add_stages();
  stage.set_stage(id.value());
  stage.set_updates(part.earlier_updates + (runs_on()
                                                ? part.weights->newest_version()
                                                : num_updates_));
  for (int64_t version = part.weights->newest_version();
       version >= part.weights->oldest_version(); --version) {
    stage.add_versions(version);
  }
  taking_->snapshot.blocked_nanos += MonotonicNanos() - start;
}

absl::StatusOr<EngineSnapshot> ModelBackend::TakeSnapshot() {
  if (!taking_.has_value()) {
    return absl::InternalError("no snapshot was asked for");
  }
  for (auto& [id, part] : parts_) {
    if (!runs_on()) Copy(part);
  }
  Taking taken = *std::move(taking_);
  taking_.reset();
  PENSTOCK_RETURN_IF_ERROR(taken.status);
  if (!taken.waiting.empty()) {
    return absl::InternalError(absl::StrCat("step ", taken.step, " of stage ",
                                            taken.waiting.begin()->value(),
                                            " has not ended"));
  }
  EngineSnapshot snapshot = std::move(taken.snapshot);
  std::stable_sort(snapshot.tensors.begin(), snapshot.tensors.end(),
                   [](const auto& a, const auto& b) {
                     return ByLayerAndKind(a) < ByLayerAndKind(b);
                   });
  snapshot.memory =
      std::make_shared<decltype(taken.memory)>(std::move(taken.memory));
  TrainState& state = snapshot.state;
  state.set_step(taken.step);
  if (is_scaled()) {
    state.set_loss_scale(next_loss_scale_.scale);
    state.set_steps_at_loss_scale(next_loss_scale_.steps);
  }
  state.set_skipped_steps(num_skipped_);
  state.set_dataset_fingerprint(identity_.dataset_fingerprint);
  state.set_numerics_id(identity_.numerics_id);
  return snapshot;
}

// ---- In -------------------------------------------------------------------

absl::Status ModelBackend::Restore(StateSource& source) {
  if (!source.weights_only()) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckSameRun(identity_, source.state(), plan_.job.start()));
    BeginAt(source.state(), source.other_shape());
  }
  return FillState(source);
}

void ModelBackend::BeginAt(const TrainState& state, bool other_shape) {
  num_skipped_ = state.skipped_steps();
  num_updates_ = state.step() - num_skipped_;
  if (is_scaled() && state.loss_scale() > 0) {
    next_loss_scale_ = {state.loss_scale(),
                        static_cast<int32_t>(state.steps_at_loss_scale())};
  }
  for (auto& [id, part] : parts_) {
    const int64_t version =
        runs_on() ? state.step() * UpdatesPerStep(id) : num_updates_;
    part.weights->BeginAt(version);
    for (const StageState& stage : state.stages()) {
      // Cut otherwise, stages have no name in common, and all are alike.
      if (!other_shape && stage.stage() != id.value()) continue;
      part.earlier_updates = stage.updates() - version;
    }
    if (!runs_on()) continue;
    for (size_t i = 0; i < sites_.size(); ++i) {
      if (plan_.tied_sites[i].owner_stage == id) {
        sites_[i].gradient_version = version;
      }
      if (plan_.tied_sites[i].user_stage == id) {
        sites_[i].weight_version = version;
      }
    }
    part.num_reduced = version;
    const auto first = version * plan_.PiecesPerUpdate(id);
    part.module->BeginUpdate(1.0f, MicrobatchId(static_cast<int>(first)));
  }
}

std::vector<ModelBackend::Borrowed> ModelBackend::BorrowedState(
    const StateSource& source) {
  std::vector<Borrowed> state;
  for (size_t i = 0; i < sites_.size(); ++i) {
    const TiedSite& site = plan_.tied_sites[i];
    if (sites_[i].weights.empty() || sites_[i].owner != nullptr) continue;
    const WeightStore& user = *parts_.at(site.user_stage).weights;
    const int64_t newest = user.newest_version();
    const auto add = [&](ShardFile::Kind kind, std::string name,
                         at::ScalarType type, int64_t version) {
      const at::Tensor& leaf = sites_[i].weights[user.SlotOf(version)];
      at::Tensor values = at::empty(leaf.sizes(), leaf.options().dtype(type));
      StateTensor tensor =
          StateTensorOf(kind, site.owner_layer, std::move(name), values);
      state.push_back({{std::move(tensor), std::move(values), true}, leaf});
    };
    add(ShardFile::WEIGHTS, site.owner_parameter, at::kFloat, newest);
    if (source.weights_only() || source.other_shape()) continue;
    for (int64_t version = newest - 1; version >= user.oldest_version();
         --version) {
      add(ShardFile::OLDER_VERSIONS,
          absl::StrCat(site.owner_parameter, "@", newest - version),
          weight_type(), version);
    }
  }
  return state;
}

absl::Status ModelBackend::FillState(StateSource& source) {
  std::vector<BoundTensor> state;
  for (const auto& [id, part] : parts_) {
    for (BoundTensor& bound : StateOf(part)) {
      const ShardFile::Kind kind = bound.tensor.kind;
      if (source.weights_only() && kind != ShardFile::WEIGHTS) continue;
      if (source.other_shape() && kind == ShardFile::OLDER_VERSIONS) continue;
      state.push_back(std::move(bound));
    }
  }
  return CatchTorch("loading the state", [&]() -> absl::Status {
    const at::NoGradGuard no_grad;
    const std::vector<Borrowed> borrowed = BorrowedState(source);
    for (const Borrowed& one : borrowed) state.push_back(one.bound);
    std::vector<StateSlot> slots;
    std::vector<at::Tensor> on_host;
    for (const BoundTensor& bound : state) {
      on_host.push_back(
          bound.values.is_cpu()
              ? bound.values
              : at::empty(bound.values.sizes(), bound.values.scalar_type()));
      slots.push_back(
          {bound.tensor, BytesOf(on_host.back()), bound.is_borrowed});
    }
    std::vector<std::string> layer_names;
    for (const LayerSpec& layer : plan_.graph.layers) {
      layer_names.push_back(layer.name);
    }
    PENSTOCK_RETURN_IF_ERROR(source.Fill(slots, layer_names));
    for (size_t i = 0; i < state.size(); ++i) {
      if (!on_host[i].is_same(state[i].values)) {
        state[i].values.copy_(on_host[i]);
      }
    }
    for (const Borrowed& one : borrowed) one.leaf.copy_(one.bound.values);
    for (auto& [id, part] : parts_) part.weights->TakeMasters();
    return absl::OkStatus();
  });
}

}  // namespace penstock
