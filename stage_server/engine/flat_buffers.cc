#include "stage_server/engine/flat_buffers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/layers/init.h"

namespace penstock {

absl::StatusOr<FlatBuffers> FlatBuffers::Make(
    std::vector<ParameterSpec> parameters, uint64_t seed,
    at::ScalarType weight_type, int num_moments, Device& device) {
  FlatBuffers buffers;
  buffers.parameters_ = std::move(parameters);
  buffers.layout_ = LayOut(buffers.parameters_);
  const at::TensorOptions options =
      at::TensorOptions().dtype(at::kFloat).device(device.torch_device());
  const auto zeros = [&] { return at::zeros({buffers.layout_.size}, options); };
  buffers.master_ = zeros();
  buffers.gradient_ = zeros();
  if (num_moments >= 1) buffers.first_moment_ = zeros();
  if (num_moments >= 2) buffers.second_moment_ = zeros();
  for (size_t i = 0; i < buffers.parameters_.size(); ++i) {
    const ParameterSpec& spec = buffers.parameters_[i];
    if (!spec.tied_to.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", spec.name, "\" is tied to \"", spec.tied_to, "\""));
    }
    const at::Tensor drawn = at::empty(spec.shape, at::kFloat);
    PENSTOCK_RETURN_IF_ERROR(InitialValue(spec, seed, drawn));
    buffers.Master(static_cast<int>(i)).copy_(drawn);
  }
  if (weight_type != at::kFloat) {
    buffers.narrow_weight_ = buffers.master_.to(weight_type);
  }
  return buffers;
}

at::Tensor FlatBuffers::View(const at::Tensor& flat, int parameter) const {
  const FlatSlot& slot = layout_.slots[parameter];
  return flat.narrow(0, slot.offset, slot.size)
      .view(parameters_[parameter].shape);
}

at::Tensor FlatBuffers::WeightLeaf(int parameter) const {
  const at::Tensor& flat = narrow_weight_.defined() ? narrow_weight_ : master_;
  return View(flat, parameter).detach().requires_grad_();
}

at::Tensor FlatBuffers::Master(int parameter) const {
  return View(master_, parameter);
}

at::Tensor FlatBuffers::Gradient(int parameter) const {
  return View(gradient_, parameter);
}

FlatBytes FlatBuffers::bytes() const {
  const auto size = [](const at::Tensor& flat) {
    return flat.defined() ? static_cast<int64_t>(flat.nbytes()) : 0;
  };
  return {size(master_) + size(narrow_weight_), size(gradient_),
          size(first_moment_) + size(second_moment_)};
}

void FlatBuffers::Update(const Optimizer& optimizer, UpdateArguments arguments,
                         Device& device) {
  // The optimizer rounds to bfloat16 itself, while the masters are in cache.
  const bool is_bfloat16 =
      narrow_weight_.defined() && narrow_weight_.scalar_type() == at::kBFloat16;
  const at::Tensor bfloat16_weight =
      is_bfloat16 ? narrow_weight_ : at::Tensor();
  const struct {
    bool decay;
    int64_t begin;
    int64_t end;
  } groups[] = {{true, 0, layout_.decay_end},
                {false, layout_.decay_end, layout_.size}};
  for (const auto& group : groups) {
    if (group.begin == group.end) continue;
    const auto part = [&](const at::Tensor& flat) {
      return flat.defined()
                 ? flat.narrow(0, group.begin, group.end - group.begin)
                 : at::Tensor();
    };
    const at::Tensor parts[] = {part(master_), part(gradient_),
                                part(first_moment_), part(second_moment_),
                                part(bfloat16_weight)};
    const auto pointer = [&](int i) {
      return parts[i].defined() ? &parts[i] : nullptr;
    };
    arguments.decay = group.decay;
    device.Update(optimizer, arguments,
                  {pointer(0), pointer(1), pointer(2), pointer(3), pointer(4)});
  }
  if (narrow_weight_.defined() && !is_bfloat16) narrow_weight_.copy_(master_);
}

}  // namespace penstock
