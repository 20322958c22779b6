#include "coordinator/core/checkpointed_layers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/job_model.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

void AddTensors(const std::vector<ParameterSpec>& specs, ExpectedLayer& layer) {
  for (const ParameterSpec& spec : specs) {
    if (!spec.tied_to.empty()) continue;
    layer.tensors.push_back({spec.name, spec.shape});
  }
}

std::vector<ExpectedLayer> EmulatedLayers(const wire::Profile& profile) {
  std::vector<ExpectedLayer> layers;
  for (int i = 0; i < profile.layers_size(); ++i) {
    if (profile.layers(i).parameter_bytes() == 0) continue;
    ExpectedLayer& layer = layers.emplace_back();
    layer.layer = i;
    layer.name = profile.layers(i).name();
  }
  return layers;
}

}  // namespace

OptimizerFiles WantedOptimizerFiles(const Job& job) {
  return job.has_emulate() ? OptimizerFiles::kIgnored
                           : OptimizerFiles::kRequired;
}

absl::StatusOr<std::vector<ExpectedLayer>> CheckpointedLayers(const Job& job) {
  if (job.has_emulate()) return EmulatedLayers(job.emulate());
  std::vector<ExpectedLayer> layers;
  PENSTOCK_ASSIGN_OR_RETURN(const Graph graph, MakeModel(RequestOf(job)));
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    ExpectedLayer layer;
    layer.layer = static_cast<int>(i);
    layer.name = graph.layers[i].name;
    PENSTOCK_ASSIGN_OR_RETURN(const auto parameters,
                              ParametersOf(graph.layers[i]));
    AddTensors(parameters, layer);
    PENSTOCK_ASSIGN_OR_RETURN(const auto statistics,
                              StatisticsOf(graph.layers[i]));
    AddTensors(statistics, layer);
    if (!layer.tensors.empty()) layers.push_back(std::move(layer));
  }
  return layers;
}

absl::Status CheckStart(const Job& job, const CheckpointManifest& checkpoint) {
  const bool weights_only = !job.start().from().empty();
  const std::string what =
      absl::StrCat("the checkpoint of ", Describe(checkpoint.id()));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ExpectedLayer> layers,
                            CheckpointedLayers(job));
  const std::vector<ShardFile> files(checkpoint.files().begin(),
                                     checkpoint.files().end());
  const absl::Status cover = CheckCover(
      files, layers,
      weights_only ? OptimizerFiles::kIgnored : WantedOptimizerFiles(job));
  if (!cover.ok()) {
    return WithContext(cover, what + " does not fit this job's model");
  }
  const int64_t step = checkpoint.state().step();
  if (weights_only || step < job.steps()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      what, " has made ", step, " steps, and the job is to make ", job.steps(),
      "; give it more `steps`, start.from to train on from its weights, or "
      "start.resume never"));
}

}  // namespace penstock
