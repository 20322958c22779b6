#include "schedule/planner/profile_cut.h"

#include <cmath>
#include <cstdint>

#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/simulator/profile.h"

namespace penstock {
namespace {

int64_t Nanoseconds(const wire::LayerProfile& layer) {
  const double backward =
      layer.has_backward_seconds()
          ? layer.backward_seconds()
          : layer.input_gradient_seconds() + layer.weight_gradient_seconds();
  return std::llround((layer.forward_seconds() + backward) * 1e9);
}

}  // namespace

absl::StatusOr<std::vector<LayerRange>> CutProfile(const wire::Profile& profile,
                                                   int num_stages) {
  PENSTOCK_RETURN_IF_ERROR(CheckProfile(profile));
  std::vector<int64_t> weights;
  for (const wire::LayerProfile& layer : profile.layers()) {
    weights.push_back(Nanoseconds(layer));
  }
  absl::StatusOr<std::vector<LayerRange>> cut =
      PartitionEvenly(weights, num_stages);
  if (!cut.ok()) return WithContext(cut.status(), "profile");
  return cut;
}

}  // namespace penstock
