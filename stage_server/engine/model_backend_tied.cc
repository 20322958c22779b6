// Weights that are tied between layers (docs/decisions/002).

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/layers/torch_status.h"
#include "stage_server/engine/model_backend.h"

namespace penstock {

std::optional<std::pair<const ModelBackend::Part*, int>>
ModelBackend::FindOwned(const std::string& parameter) const {
  for (const auto& [id, part] : parts_) {
    const std::vector<ParameterSpec>& specs = part.weights->parameters();
    for (size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].name == parameter) {
        return std::pair(&part, static_cast<int>(i));
      }
    }
  }
  return std::nullopt;
}

absl::Status ModelBackend::MakeSites() {
  for (const TiedSite& site : plan_.tied_sites) {
    SiteTensors& tensors = sites_.emplace_back();
    const auto owner = FindOwned(site.owner_parameter);
    if (owner.has_value()) {
      tensors.owner = &*owner->first->weights;
      tensors.owner_parameter = owner->second;
      for (int slot = 0; slot < tensors.owner->num_gradients(); ++slot) {
        tensors.owner_gradients.push_back(
            tensors.owner->Gradient(owner->second, slot));
      }
    }
    if (!plan_.Holds(site.user_stage)) continue;
    PENSTOCK_ASSIGN_OR_RETURN(
        const std::vector<ParameterSpec> specs,
        ParametersOf(plan_.graph.layers[site.user_layer]));
    for (const ParameterSpec& spec : specs) {
      if (spec.name != site.user_parameter) continue;
      const at::TensorOptions options =
          at::TensorOptions().dtype(at::kFloat).device(device_.torch_device());
      const Part& user = parts_.at(site.user_stage);
      for (int slot = 0; slot < user.weights->num_gradients(); ++slot) {
        tensors.gradients.push_back(at::zeros(spec.shape, options));
      }
      if (owner.has_value()) {
        for (int slot = 0; slot < tensors.owner->max_versions(); ++slot) {
          tensors.weights.push_back(
              tensors.owner->WeightLeaf(owner->second, slot));
        }
        continue;
      }
      const at::Tensor drawn = at::empty(spec.shape, at::kFloat);
      PENSTOCK_RETURN_IF_ERROR(InitialValue(spec, plan_.job.seed(), drawn));
      for (int slot = 0; slot < user.weights->max_versions(); ++slot) {
        tensors.weights.push_back(drawn
                                      .to(options.dtype(weight_type()),
                                          /*non_blocking=*/false,
                                          /*copy=*/true)
                                      .requires_grad_());
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> ModelBackend::SiteOf(EdgeId edge) const {
  for (size_t i = 0; i < plan_.tied_sites.size(); ++i) {
    if (plan_.tied_sites[i].edge == edge) return static_cast<int>(i);
  }
  return absl::InternalError(
      absl::StrCat("edge ", edge.value(), " is of no tied weight"));
}

absl::StatusOr<at::Tensor> ModelBackend::OutgoingTied(const Action& send) {
  PENSTOCK_ASSIGN_OR_RETURN(const int site, SiteOf(send.edge));
  if (runs_on()) return OutgoingTiedAlone(sites_[site], send);
  if (DirectionOf(send.op) == Direction::kBackward) {
    PENSTOCK_RETURN_IF_ERROR(CheckGradientIsWhole(send.stage));
    return sites_[site].gradients[0];
  }
  if (parts_.at(send.stage).updated) {
    return sites_[site].owner->Master(sites_[site].owner_parameter);
  }
  return absl::InternalError(absl::StrCat(
      "stage ", send.stage.value(), " has not been updated in this step"));
}

absl::Status ModelBackend::IncomingTied(const Action& receive,
                                        at::Tensor tensor) {
  PENSTOCK_ASSIGN_OR_RETURN(const int index, SiteOf(receive.edge));
  SiteTensors& site = sites_[index];
  if (runs_on()) return IncomingTiedAlone(site, receive, std::move(tensor));
  const bool is_weight = DirectionOf(receive.op) == Direction::kForward;
  if (std::exchange(is_weight ? site.weight_came : site.gradient_came, true) ||
      (!is_weight && sites_added_)) {
    return absl::InternalError("it came twice, or too late");
  }
  if (!is_weight) {
    site.gradients.assign(1, std::move(tensor));
    return absl::OkStatus();
  }
  PENSTOCK_RETURN_IF_ERROR(CheckGradientIsWhole(receive.stage));
  return CatchTorch("taking a tied weight", [&] {
    const at::NoGradGuard no_grad;
    site.weights[0].copy_(tensor);
  });
}

absl::Status ModelBackend::AddSites() {
  if (std::exchange(sites_added_, true)) return absl::OkStatus();
  for (size_t i = 0; i < sites_.size(); ++i) {
    const TiedSite& site = plan_.tied_sites[i];
    if (sites_[i].owner_gradients.empty()) continue;
    if (!site.is_local && !sites_[i].gradient_came) {
      return absl::InternalError(absl::StrCat(
          "the gradient of \"", site.user_parameter, "\" has not come"));
    }
    if (site.is_local) {
      PENSTOCK_RETURN_IF_ERROR(CheckGradientIsWhole(site.user_stage));
    }
  }
  return CatchTorch("adding tied gradients", [&] {
    const at::NoGradGuard no_grad;
    for (const SiteTensors& site : sites_) {
      if (!site.owner_gradients.empty()) {
        site.owner_gradients[0].add_(site.gradients[0]);
      }
    }
  });
}

// ---- Of schedules that never drain -----------------------------------------

// A copy, since what it is of is written over while it is on its way.
absl::StatusOr<at::Tensor> ModelBackend::OutgoingTiedAlone(
    const SiteTensors& site, const Action& send) {
  const int64_t version = send.version.value_or(0);
  const Part& part = parts_.at(send.stage);
  if (DirectionOf(send.op) == Direction::kForward) {
    if (part.weights->newest_version() == version) {
      return CatchTorch("sending a tied weight", [&] {
        return site.owner->Master(site.owner_parameter).clone();
      });
    }
    return absl::InternalError(absl::StrCat(
        "stage ", send.stage.value(), " sends version ", version,
        " of a tied weight, its newest is ", part.weights->newest_version()));
  }
  const int64_t update = version - 1;
  const bool is_whole = part.module->stage().is_shared
                            ? part.num_reduced > update
                            : part.module->HasWholeGradient() &&
                                  part.module->first_of_update().value() ==
                                      FirstPieceOf(send.stage, update);
  if (is_whole) {
    return CatchTorch("sending a tied gradient", [&] {
      return site.gradients[part.weights->GradientSlotOf(update)].clone();
    });
  }
  return absl::InternalError(absl::StrCat(
      "stage ", send.stage.value(),
      " has not yet the gradient of all its microbatches of update ", version));
}

absl::Status ModelBackend::IncomingTiedAlone(SiteTensors& site,
                                             const Action& receive,
                                             at::Tensor tensor) {
  const bool is_weight = DirectionOf(receive.op) == Direction::kForward;
  int64_t& newest = is_weight ? site.weight_version : site.gradient_version;
  const int64_t version = receive.version.value_or(0);
  // As where the list begins, or begins anew behind a drain.
  if (is_weight && version == newest) return absl::OkStatus();
  if (version != newest + 1) {
    return absl::InternalError(absl::StrCat("it is of version ", version,
                                            ", and that of ", newest,
                                            " has come last"));
  }
  newest = version;
  if (!is_weight) {
    if (site.owner->newest_version() != version - 1) {
      return absl::InternalError(absl::StrCat(
          "update ", version - 1, ", before it, has not been made"));
    }
    site.gradients.resize(site.owner->num_gradients());
    site.gradients[site.owner->GradientSlotOf(version - 1)] = std::move(tensor);
    return absl::OkStatus();
  }
  const WeightStore& weights = *parts_.at(receive.stage).weights;
  if (weights.IsHeld(version - weights.max_versions())) {
    return absl::InternalError(absl::StrCat(
        "version ", version, " of a tied weight would go where version ",
        version - weights.max_versions(), " is, which is still read"));
  }
  return CatchTorch("taking a tied weight", [&] {
    const at::NoGradGuard no_grad;
    site.weights[weights.SlotOf(version)].copy_(tensor);
  });
}

absl::Status ModelBackend::CheckTiedHave(StageId stage, int64_t version) const {
  for (size_t i = 0; i < sites_.size(); ++i) {
    const TiedSite& site = plan_.tied_sites[i];
    if (site.user_stage != stage || sites_[i].owner != nullptr ||
        sites_[i].weight_version >= version) {
      continue;
    }
    return absl::InternalError(absl::StrCat(
        "version ", version, " of \"", site.user_parameter,
        "\" has not come; the newest there is ", sites_[i].weight_version));
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::AddSitesAlone(StageId stage, int64_t update) {
  for (size_t i = 0; i < sites_.size(); ++i) {
    const TiedSite& site = plan_.tied_sites[i];
    if (site.owner_stage != stage) continue;
    if (!site.is_local && sites_[i].gradient_version <= update) {
      return absl::InternalError(
          absl::StrCat("the gradient of \"", site.user_parameter,
                       "\" for update ", update + 1, " has not come"));
    }
    const int slot = sites_[i].owner->GradientSlotOf(update);
    sites_[i].owner_gradients[slot].add_(sites_[i].gradients[slot]);
  }
  return absl::OkStatus();
}

}  // namespace penstock
