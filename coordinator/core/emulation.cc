#include "coordinator/core/emulation.h"

#include <algorithm>

#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/planner/partition.h"
#include "schedule/planner/profile_cut.h"
#include "schedule/simulator/profile.h"

namespace penstock {
namespace {

constexpr int64_t kFloatBytes = 4;

}  // namespace

Graph EmulatedGraph(const wire::Profile& profile) {
  Graph graph;
  for (const wire::LayerProfile& layer : profile.layers()) {
    LayerSpec spec;
    spec.name = layer.name();
    if (!graph.layers.empty()) spec.inputs = {graph.layers.back().name};
    graph.layers.push_back(std::move(spec));
  }
  return graph;
}

std::vector<int64_t> EmulatedParameterCounts(const wire::Profile& profile) {
  std::vector<int64_t> counts;
  for (const wire::LayerProfile& layer : profile.layers()) {
    counts.push_back(layer.parameter_bytes() / kFloatBytes);
  }
  return counts;
}

absl::StatusOr<std::vector<int>> EmulatedStages(const wire::Profile& profile,
                                                int num_stages) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<LayerRange> ranges,
                            CutProfile(profile, num_stages));
  std::vector<int> stage_of;
  for (size_t stage = 0; stage < ranges.size(); ++stage) {
    stage_of.resize(ranges[stage].end, static_cast<int>(stage));
  }
  return stage_of;
}

std::map<std::string, TensorSpec> EmulatedTensors(
    const wire::Profile& profile) {
  std::map<std::string, TensorSpec> specs;
  for (const wire::TensorProfile& tensor : profile.tensors()) {
    TensorSpec& spec = specs[tensor.name()];
    spec.set_dtype(DTYPE_FLOAT32);
    spec.add_shape((tensor.bytes() + kFloatBytes - 1) / kFloatBytes);
  }
  return specs;
}

absl::Status CheckEmulation(const Job& job) {
  if (!job.model().preset().empty()) {
    return absl::InvalidArgumentError(
        "emulate: the job has a model too; leave `model` or `emulate` out");
  }
  if (!job.data().sequence_lengths().empty()) {
    return absl::InvalidArgumentError(
        "emulate: devices that are emulated read no data; leave "
        "data.sequence_lengths or `emulate` out");
  }
  if (job.emulate().layers().empty()) {
    return absl::InvalidArgumentError("emulate: the profile has no layers");
  }
  const absl::Status status = CheckProfile(job.emulate());
  if (!status.ok()) return WithContext(status, "emulate");
  return absl::OkStatus();
}

}  // namespace penstock
