#include "tests/simulation/training.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "checkpoint/layout/layout.h"
#include "coordinator/core/checkpointed_layers.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/plan_builder.h"
#include "coordinator/core/weights_digest.h"

namespace penstock::simulation {
namespace {

constexpr int64_t kHeaderBytes = 1024;

Job JobOf(const SimulatedJob& simulated) {
  Job job = SmallJob();
  job.set_name(simulated.name);
  job.set_steps(simulated.steps);
  job.mutable_partition()->set_stages(simulated.stages);
  job.mutable_elastic()->set_min_stages(simulated.min);
  job.mutable_restart()->set_limit(simulated.limit);
  job.mutable_restart()->set_backoff_seconds(1);
  if (simulated.every < 0) return job;
  CheckpointSpec& spec = *job.mutable_checkpoint();
  spec.set_every_steps(simulated.every);
  spec.set_keep_last(simulated.keep);
  spec.set_memory_every_steps(simulated.memory);
  return job;
}

const std::vector<ExpectedLayer>& Layers() {
  static const auto* const layers = new std::vector<ExpectedLayer>(
      CheckpointedLayers(JobOf(SimulatedJob())).value());
  return *layers;
}

ShardFile FileOf(const ExpectedLayer& layer, ShardFile::Kind kind) {
  ShardFile file;
  file.set_name(ShardFileName(layer.layer, layer.name, kind));
  file.set_layer(layer.layer);
  file.set_layer_name(layer.name);
  file.set_kind(kind);
  int64_t end = kHeaderBytes;
  for (const ExpectedLayer::Tensor& tensor : layer.tensors) {
    ShardTensor& kept = *file.add_tensors();
    kept.set_name(kind == ShardFile::WEIGHTS
                      ? tensor.name
                      : absl::StrCat(tensor.name, "/momentum"));
    kept.set_type("F32");
    int64_t bytes = 4;
    for (const int64_t size : tensor.shape) {
      kept.add_shape(size);
      bytes *= size;
    }
    kept.set_offset_bytes(end);
    kept.set_size_bytes(bytes);
    end += bytes;
  }
  file.set_size_bytes(end);
  return file;
}

// Names of the layers that a rank runs.
std::set<std::string> LayersOfRank(const Plan& plan, int rank) {
  std::set<std::string> names;
  const auto& placement = plan.schedule().placement();
  for (int stage = 0; stage < placement.size(); ++stage) {
    const auto& ranks = placement[stage].ranks();
    if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) continue;
    names.insert(plan.stages(stage).layers().begin(),
                 plan.stages(stage).layers().end());
  }
  return names;
}

LayerDigest DigestOfLayer(const ExpectedLayer& layer, int64_t step) {
  LayerDigest digest;
  digest.set_layer(layer.layer);
  digest.set_name(layer.name);
  digest.set_sha256(Sha256Of(absl::StrCat(layer.name, " after ", step)));
  return digest;
}

}  // namespace

PlannedJob PlanOf(const SimulatedJob& job) {
  static auto* const plans = new std::map<std::string, PlannedJob>();
  const Job wanted = JobOf(job);
  PlannedJob& planned = (*plans)[wanted.SerializeAsString()];
  if (planned.plan == nullptr) {
    BuiltPlan built = BuildPlan(wanted).value();
    planned.plan = std::make_shared<const Plan>(std::move(built.plan));
    planned.parameter_layers = std::move(built.parameter_layers);
  }
  return planned;
}

std::vector<ShardFile> FilesOfRank(const Plan& plan, int rank) {
  const std::set<std::string> own = LayersOfRank(plan, rank);
  std::vector<ShardFile> files;
  for (const ExpectedLayer& layer : Layers()) {
    if (!own.contains(layer.name)) continue;
    files.push_back(FileOf(layer, ShardFile::WEIGHTS));
    files.push_back(FileOf(layer, ShardFile::OPTIMIZER));
  }
  return files;
}

std::vector<LayerDigest> DigestsOfRank(const Plan& plan, int rank,
                                       int64_t step) {
  const std::set<std::string> own = LayersOfRank(plan, rank);
  std::vector<LayerDigest> digests;
  for (const ExpectedLayer& layer : Layers()) {
    if (own.contains(layer.name)) digests.push_back(DigestOfLayer(layer, step));
  }
  return digests;
}

std::string DigestAfter(int64_t step) {
  std::vector<LayerDigest> digests;
  for (const ExpectedLayer& layer : Layers()) {
    digests.push_back(DigestOfLayer(layer, step));
  }
  return WeightsDigest(digests, PlanOf(SimulatedJob()).parameter_layers)
      .value();
}

}  // namespace penstock::simulation
