#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "schedule/simulator/profile.h"

namespace penstock {
namespace {

constexpr double kMostSeconds = 1e9;
constexpr double kMostSlowdown = 1e6;
constexpr double kMostBandwidth = 1e15;
constexpr int64_t kMostBytes = int64_t{1} << 46;
constexpr int kMostLayers = 100'000;
constexpr int kMostRank = 1'000'000;

absl::Status Fault(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("profile, ", where, ": ", what));
}

absl::Status CheckNumber(absl::string_view where, absl::string_view name,
                         double value, double most) {
  if (value >= 0 && value <= most) return absl::OkStatus();  // not for NaN
  return Fault(where, absl::StrCat(name, " is ", value, ", want 0 to ", most));
}

absl::Status CheckBytes(absl::string_view where, absl::string_view name,
                        int64_t value) {
  if (value >= 0 && value <= kMostBytes) return absl::OkStatus();
  return Fault(where,
               absl::StrCat(name, " is ", value, ", want 0 to ", kMostBytes));
}

absl::Status CheckLayer(const wire::LayerProfile& layer) {
  const std::string where = absl::StrCat("layer \"", layer.name(), "\"");
  for (const auto& [name, seconds] :
       {std::pair("forward_seconds", layer.forward_seconds()),
        std::pair("input_gradient_seconds", layer.input_gradient_seconds()),
        std::pair("weight_gradient_seconds", layer.weight_gradient_seconds()),
        std::pair("backward_seconds", layer.backward_seconds()),
        std::pair("recompute_seconds", layer.recompute_seconds()),
        std::pair("update_seconds", layer.update_seconds())}) {
    PENSTOCK_RETURN_IF_ERROR(CheckNumber(where, name, seconds, kMostSeconds));
  }
  for (const auto& [name, bytes] :
       {std::pair("parameter_bytes", layer.parameter_bytes()),
        std::pair("state_bytes", layer.state_bytes()),
        std::pair("saved_bytes", layer.saved_bytes()),
        std::pair("pending_weight_bytes", layer.pending_weight_bytes()),
        std::pair("workspace_bytes", layer.workspace_bytes())}) {
    PENSTOCK_RETURN_IF_ERROR(CheckBytes(where, name, bytes));
  }
  return CheckNumber(where, "spread", layer.spread(), kMostSeconds);
}

absl::Status CheckLink(absl::string_view where, const wire::LinkProfile& link) {
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(where, "latency_seconds",
                                       link.latency_seconds(), kMostSeconds));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(
      where, "bytes_per_second", link.bytes_per_second(), kMostBandwidth));
  return CheckBytes(where, "eager_bytes", link.eager_bytes());
}

absl::Status CheckLinks(const wire::Profile& profile) {
  PENSTOCK_RETURN_IF_ERROR(CheckLink("link", profile.link()));
  absl::flat_hash_set<std::pair<int, int>> seen;
  for (const wire::LinkProfile& link : profile.links()) {
    const std::string where =
        absl::StrCat("link r", link.from_rank(), ">r", link.to_rank());
    if (link.from_rank() < 0 || link.from_rank() > kMostRank ||
        link.to_rank() < 0 || link.to_rank() > kMostRank ||
        link.from_rank() == link.to_rank()) {
      return Fault(
          where, absl::StrCat("want two different ranks of 0 to ", kMostRank));
    }
    if (!seen.insert({link.from_rank(), link.to_rank()}).second) {
      return Fault(where, "given twice");
    }
    PENSTOCK_RETURN_IF_ERROR(CheckLink(where, link));
  }
  return absl::OkStatus();
}

// Names of layers, or of tensors.
template <typename Items>
absl::Status CheckNames(absl::string_view what, const Items& items) {
  absl::flat_hash_set<absl::string_view> seen;
  for (const auto& item : items) {
    if (item.name().empty()) {
      return Fault(absl::StrCat(what, "s"),
                   absl::StrCat("a ", what, " without a name"));
    }
    if (!seen.insert(item.name()).second) {
      return Fault(absl::StrCat(what, " \"", item.name(), "\""), "given twice");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckProfile(const wire::Profile& profile) {
  if (profile.layers_size() > kMostLayers) {
    return Fault("layers", absl::StrCat(profile.layers_size(),
                                        " layers, want at most ", kMostLayers));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckNames("layer", profile.layers()));
  PENSTOCK_RETURN_IF_ERROR(CheckNames("tensor", profile.tensors()));
  for (const wire::LayerProfile& layer : profile.layers()) {
    PENSTOCK_RETURN_IF_ERROR(CheckLayer(layer));
  }
  for (const wire::TensorProfile& tensor : profile.tensors()) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckBytes(absl::StrCat("tensor \"", tensor.name(), "\""), "bytes",
                   tensor.bytes()));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckLinks(profile));
  for (int rank = 0; rank < profile.devices_size(); ++rank) {
    const wire::DeviceProfile& device = profile.devices(rank);
    const std::string where = absl::StrCat("device ", rank);
    PENSTOCK_RETURN_IF_ERROR(
        CheckBytes(where, "memory_bytes", device.memory_bytes()));
    PENSTOCK_RETURN_IF_ERROR(
        CheckNumber(where, "slowdown", device.slowdown(), kMostSlowdown));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckNumber("Profile", "action_overhead_seconds",
                                       profile.action_overhead_seconds(),
                                       kMostSeconds));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber("Profile", "agree_norm_seconds",
                                       profile.agree_norm_seconds(),
                                       kMostSeconds));
  return CheckNumber("Profile", "pair_gain", profile.pair_gain(), 1);
}

}  // namespace penstock
