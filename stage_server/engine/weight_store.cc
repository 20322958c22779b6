#include "stage_server/engine/weight_store.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/layers/init.h"

namespace penstock {

absl::StatusOr<WeightStore> WeightStore::Make(
    std::vector<ParameterSpec> parameters, uint64_t seed,
    at::ScalarType weight_type, const WeightBuffers& buffers, Device& device) {
  WeightStore store;
  store.parameters_ = std::move(parameters);
  store.layout_ = LayOut(store.parameters_);
  const at::TensorOptions options =
      at::TensorOptions().dtype(at::kFloat).device(device.torch_device());
  const auto zeros = [&](at::ScalarType type) {
    return at::zeros({store.layout_.size}, options.dtype(type));
  };
  if (weight_type != at::kFloat) store.master_ = zeros(at::kFloat);
  for (int slot = 0; slot < buffers.gradients; ++slot) {
    store.gradients_.push_back(zeros(at::kFloat));
  }
  if (buffers.moments >= 1) store.first_moment_ = zeros(at::kFloat);
  if (buffers.moments >= 2) store.second_moment_ = zeros(at::kFloat);
  for (int slot = 0; slot < buffers.versions; ++slot) {
    store.weights_.push_back(zeros(weight_type));
  }
  for (size_t i = 0; i < store.parameters_.size(); ++i) {
    const ParameterSpec& spec = store.parameters_[i];
    if (!spec.tied_to.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", spec.name, "\" is tied to \"", spec.tied_to, "\""));
    }
    const at::Tensor drawn = at::empty(spec.shape, at::kFloat);
    PENSTOCK_RETURN_IF_ERROR(InitialValue(spec, seed, drawn));
    store.Master(static_cast<int>(i)).copy_(drawn);
  }
  store.TakeMasters();
  return store;
}

void WeightStore::TakeMasters() {
  if (has_masters()) weights_[newest_slot()].copy_(master_);
}

at::Tensor WeightStore::View(const at::Tensor& flat, int parameter) const {
  const FlatSlot& slot = layout_.slots[parameter];
  return flat.narrow(0, slot.offset, slot.size)
      .view(parameters_[parameter].shape);
}

at::Tensor WeightStore::WeightLeaf(int parameter, int slot) const {
  return View(weights_[slot], parameter).detach().requires_grad_();
}

at::Tensor WeightStore::Master(int parameter) const {
  return View(newest_master(), parameter);
}

at::Tensor WeightStore::Gradient(int parameter, int slot) const {
  return View(gradients_[slot], parameter);
}

at::Tensor WeightStore::Moment(int parameter, int moment) const {
  return View(moment == 0 ? first_moment_ : second_moment_, parameter);
}

at::Tensor WeightStore::Weight(int parameter, int64_t version) const {
  return View(weights_[SlotOf(version)], parameter);
}

absl::StatusOr<int> WeightStore::Hold(MicrobatchId microbatch,
                                      std::optional<int32_t> version) {
  const int64_t wanted = version.has_value() ? int64_t{*version} : newest_;
  const int64_t oldest = oldest_version();
  if (wanted < oldest || wanted > newest_) {
    return absl::InternalError(absl::StrCat(
        "it reads weight version ", wanted, ", which is not there; held ",
        oldest == newest_ ? absl::StrCat("is ", newest_)
                          : absl::StrCat("are ", oldest, " to ", newest_)));
  }
  if (!held_.emplace(microbatch, wanted).second) {
    return absl::InternalError("it is already in flight");
  }
  return SlotOf(wanted);
}

absl::Status WeightStore::CheckHeld(MicrobatchId microbatch,
                                    std::optional<int32_t> version) const {
  const auto held = held_.find(microbatch);
  if (held == held_.end()) return absl::InternalError("it is not in flight");
  if (!version.has_value() || held->second == *version) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("it reads weight version ", *version,
                                          ", its forward has read ",
                                          held->second));
}

WeightBytes WeightStore::bytes() const {
  const auto size = [](const at::Tensor& flat) {
    return flat.defined() ? static_cast<int64_t>(flat.nbytes()) : 0;
  };
  WeightBytes bytes = {size(master_), num_gradients() * size(gradients_[0]),
                       size(first_moment_) + size(second_moment_)};
  for (const at::Tensor& weights : weights_) bytes.weights += size(weights);
  return bytes;
}

void WeightStore::UpdateGroup(const Optimizer& optimizer,
                              const UpdateArguments& arguments, int64_t begin,
                              int64_t end, Device& device) {
  const auto part = [&](const at::Tensor& flat) {
    return flat.defined() ? flat.narrow(0, begin, end - begin) : at::Tensor();
  };
  const at::Tensor& next = weights_[SlotOf(newest_ + 1)];
  const bool is_bfloat16 = next.scalar_type() == at::kBFloat16;
  const bool in_place = has_masters() || max_versions() == 1;
  const at::Tensor parts[] = {part(newest_master()),
                              part(gradients_[GradientSlotOf(newest_)]),
                              part(first_moment_),
                              part(second_moment_),
                              part(is_bfloat16 ? next : at::Tensor()),
                              part(in_place ? at::Tensor() : next)};
  const auto pointer = [&](int i) {
    return parts[i].defined() ? &parts[i] : nullptr;
  };
  device.Update(
      optimizer, arguments,
      {pointer(0), pointer(1), pointer(2), pointer(3), pointer(4), pointer(5)});
}

bool WeightStore::IsHeld(int64_t version) const {
  return std::any_of(held_.begin(), held_.end(),
                     [&](const auto& held) { return held.second == version; });
}

absl::Status WeightStore::Update(const Optimizer& optimizer,
                                 UpdateArguments arguments, Device& device) {
  for (const auto& [microbatch, version] : held_) {
    if (version != newest_ + 1 - max_versions()) continue;
    return absl::InternalError(absl::StrCat(
        "weight version ", newest_ + 1, " would go where version ", version,
        " is, which microbatch ", microbatch.value(), " still reads; ",
        max_versions(), max_versions() == 1 ? " is kept" : " are kept"));
  }
  const struct {
    bool decay;
    int64_t begin;
    int64_t end;
  } groups[] = {{true, 0, layout_.decay_end},
                {false, layout_.decay_end, layout_.size}};
  for (const auto& group : groups) {
    if (group.begin == group.end) continue;
    arguments.decay = group.decay;
    UpdateGroup(optimizer, arguments, group.begin, group.end, device);
  }
  // The optimizer rounds to bfloat16 itself, while the masters are in cache.
  const at::Tensor& next = weights_[SlotOf(newest_ + 1)];
  if (next.scalar_type() == at::kHalf) next.copy_(master_);
  ++newest_;
  return absl::OkStatus();
}

}  // namespace penstock
