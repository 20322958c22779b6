#include "coordinator/core/training_fixture.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sha256.h"
#include "checkpoint/layout/layout.h"
#include "coordinator/core/checkpointed_layers.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/core/plan_builder.h"

namespace penstock {
namespace {

constexpr int64_t kHeaderBytes = 1024;

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

}  // namespace

CheckpointSpec EverySteps(int64_t steps, int keep_last) {
  CheckpointSpec spec;
  spec.set_every_steps(steps);
  spec.set_keep_last(keep_last);
  return spec;
}

TrainingCluster::TrainingCluster() {
  state.checkpoint_store = {"127.0.0.1:1", "/checkpoints",
                            "a key of the store's"};
  Join("s1");
  Join("s2");
}

absl::StatusOr<std::string> TrainingCluster::Train(
    const std::string& name, const CheckpointSpec& spec, int64_t steps,
    std::shared_ptr<const CheckpointManifest> restore,
    const std::string& from) {
  Job job = SmallJob();
  job.set_name(name);
  job.set_steps(steps);
  *job.mutable_checkpoint() = spec;
  job.mutable_start()->set_from(from);
  job.mutable_partition()->set_stages(stages);
  job.mutable_partition()->set_ranks(ranks);
  job.mutable_elastic()->set_min_stages(min_stages);
  job.mutable_elastic()->set_max_stages(max_stages);
  job.mutable_elastic()->set_grow(grow);
  job.mutable_restart()->set_limit(restart_limit);
  job.mutable_restart()->set_backoff_seconds(1);
  absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  if (!built.ok()) return built.status();
  return Apply(JobSubmitted{Fence(), absl::StrCat("key-", name), name,
                            std::make_shared<const Plan>(built->plan),
                            built->parameter_layers, std::move(restore)});
}

void TrainingCluster::MakeSteps(const std::string& job, int64_t first,
                                int64_t last) {
  for (int64_t step = first; step <= last; ++step) {
    for (const std::string& id : ServersOf(job)) {
      ReportStep(id, job, step).IgnoreError();
    }
  }
}

absl::StatusOr<std::string> TrainingCluster::ReportSnapshot(
    const std::string& id, const std::string& job, int64_t step, bool missed) {
  StageMessage message;
  message.mutable_snapshot()->set_job_id(job);
  message.mutable_snapshot()->set_step(step);
  message.mutable_snapshot()->set_missed(missed);
  message.mutable_snapshot()->set_blocked_nanos(1'000'000);
  return Say(id, message);
}

std::vector<ShardFile> TrainingCluster::FilesOfRank(const std::string& job,
                                                    int rank) const {
  const JobRecord& record = state.jobs.at(job);
  std::vector<ShardFile> files;
  const auto layers = CheckpointedLayers(record.info.job()).value();
  for (const ExpectedLayer& layer : layers) {
    for (const int stage : StagesOf(record, rank)) {
      const auto& own = record.plan->stages(stage).layers();
      if (std::find(own.begin(), own.end(), layer.name) == own.end()) {
        continue;
      }
      files.push_back(FileOf(layer, ShardFile::WEIGHTS));
      files.push_back(FileOf(layer, ShardFile::OPTIMIZER));
    }
  }
  return files;
}

absl::StatusOr<std::string> TrainingCluster::ReportShards(
    const std::string& id, const std::string& job, int64_t step,
    const std::string& error) {
  StageMessage message;
  ShardReport& report = *message.mutable_shards();
  *report.mutable_checkpoint() = IdOf(job, step);
  report.set_plan_hash(state.jobs.at(job).plan->shape_hash());
  report.set_error(error);
  report.mutable_state()->set_step(step);
  const int rank = state.servers.at(id).info.rank();
  report.mutable_state()->add_stages()->set_stage(rank);
  for (const ShardFile& file : FilesOfRank(job, rank)) {
    *report.add_files() = file;
  }
  return Say(id, message);
}

void TrainingCluster::ReportAllShards(const std::string& job, int64_t step) {
  for (const std::string& id : ServersOf(job)) {
    ReportSnapshot(id, job, step).IgnoreError();
  }
  for (const std::string& id : ServersOf(job)) {
    ReportShards(id, job, step).IgnoreError();
  }
}

void TrainingCluster::FinishRanks(const std::string& job) {
  const JobRecord& record = state.jobs.at(job);
  MakeSteps(job, record.info.latest().step() + 1, record.info.job().steps());
  for (const std::string& id : ServersOf(job)) {
    StageMessage message;
    message.mutable_finished()->set_job_id(job);
    message.mutable_finished()->set_step(record.info.job().steps());
    const int rank = state.servers.at(id).info.rank();
    for (const ShardFile& file : FilesOfRank(job, rank)) {
      if (file.kind() != ShardFile::WEIGHTS) continue;
      LayerDigest* digest = message.mutable_finished()->add_layers();
      digest->set_layer(file.layer());
      digest->set_sha256(Sha256Of(file.layer_name()));
    }
    Say(id, message).IgnoreError();
  }
}

absl::StatusOr<std::string> TrainingCluster::Stored(const std::string& job,
                                                    int64_t step,
                                                    absl::Status status) {
  return Apply(CheckpointStored{IdOf(job, step), std::move(status)});
}

void TrainingCluster::MakeCheckpoint(const std::string& job, int64_t step) {
  ReportAllShards(job, step);
  Stored(job, step).IgnoreError();
}

std::string TrainingCluster::Catalog(const std::string& name) const {
  return absl::StrJoin(state.jobs.at(name).checkpoints, ", ",
                       [](std::string* out, const CheckpointInfo& info) {
                         absl::StrAppend(out, info.id().step(), " ",
                                         Name(info.state()));
                       });
}

CheckpointId TrainingCluster::IdOf(const std::string& name,
                                   int64_t step) const {
  CheckpointId id;
  id.set_job_id(name);
  id.set_step(step);
  id.set_epoch(state.jobs.at(name).info.epoch());
  return id;
}

CheckpointManifest TrainingCluster::ManifestOfStep(const std::string& name,
                                                   int64_t step) const {
  CheckpointManifest manifest;
  *manifest.mutable_id() = IdOf(name, step);
  manifest.mutable_state()->set_step(step);
  manifest.set_plan_hash(state.jobs.at(name).plan->shape_hash());
  const auto layers =
      CheckpointedLayers(state.jobs.at(name).info.job()).value();
  for (const ExpectedLayer& layer : layers) {
    *manifest.add_files() = FileOf(layer, ShardFile::WEIGHTS);
    *manifest.add_files() = FileOf(layer, ShardFile::OPTIMIZER);
  }
  return manifest;
}

}  // namespace penstock
