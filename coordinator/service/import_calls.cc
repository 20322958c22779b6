// Weights that were trained elsewhere; the rest of the service is in
// job_service.cc.
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/transfer/grpc_status.h"
#include "checkpoint/transfer/token.h"
#include "coordinator/core/checkpointed_layers.h"
#include "coordinator/core/plan_builder.h"
#include "coordinator/service/audit.h"
#include "coordinator/service/job_service.h"

namespace penstock {
namespace {

// Of a checkpoint before any training.
constexpr int64_t kStep = 0;
constexpr int64_t kEpoch = 1;

absl::Status CheckStore(const Loop& loop) {
  if (loop.checkpoints() != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this coordinator has no checkpoint store; start it with --checkpoints");
}

absl::StatusOr<BuiltPlan> PlanOf(const Job& job) {
  if (job.has_emulate()) {
    return absl::InvalidArgumentError(
        "emulate: emulated layers have no weights to import; give a job with "
        "a model");
  }
  return BuildPlan(job);
}

absl::StatusOr<BeginImportResponse> Begin(const Job& job,
                                          const std::string& new_id,
                                          const Loop& loop) {
  PENSTOCK_RETURN_IF_ERROR(CheckStore(loop));
  PENSTOCK_ASSIGN_OR_RETURN(const BuiltPlan built, PlanOf(job));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ExpectedLayer> layers,
                            CheckpointedLayers(built.plan.job()));
  const CheckpointStoreSettings settings = loop.checkpoints()->settings();
  BeginImportResponse response;
  response.mutable_checkpoint()->set_job_id(new_id);
  response.mutable_checkpoint()->set_step(kStep);
  response.mutable_checkpoint()->set_epoch(kEpoch);
  response.mutable_store()->set_address(settings.address);
  response.mutable_store()->set_root(settings.root);
  response.mutable_store()->set_token(
      MakeTransferToken(settings.key, {new_id, kEpoch}));
  for (const ExpectedLayer& layer : layers) {
    ShardFile& file = *response.add_files();
    file.set_layer(layer.layer);
    file.set_layer_name(layer.name);
    file.set_kind(ShardFile::WEIGHTS);
    file.set_name(ShardFileName(layer.layer, layer.name, file.kind()));
    for (const ExpectedLayer::Tensor& wanted : layer.tensors) {
      ShardTensor& tensor = *file.add_tensors();
      tensor.set_name(wanted.name);
      tensor.mutable_shape()->Add(wanted.shape.begin(), wanted.shape.end());
    }
  }
  return response;
}

absl::StatusOr<CheckpointManifest> ManifestOf(
    const CommitImportRequest& request, const Job& job) {
  if (request.idempotency_key().empty()) {
    return absl::InvalidArgumentError(
        "idempotency_key is empty; send a fresh random one with each import, "
        "and the same one with each retry");
  }
  const CheckpointId& id = request.checkpoint();
  PENSTOCK_RETURN_IF_ERROR(CheckCheckpointId(id));
  if (id.step() != kStep || id.epoch() != kEpoch) {
    return absl::InvalidArgumentError(absl::StrCat(
        "an import is a checkpoint of step ", kStep, " and epoch ", kEpoch,
        ", got ", Describe(id), "; send what BeginImport answered"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ExpectedLayer> layers,
                            CheckpointedLayers(job));
  const std::vector<ShardFile> files(request.files().begin(),
                                     request.files().end());
  PENSTOCK_RETURN_IF_ERROR(CheckCover(files, layers, OptimizerFiles::kIgnored));
  CheckpointManifest manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  *manifest.mutable_id() = id;
  manifest.set_schedule("imported");
  *manifest.mutable_files() = request.files();
  manifest.mutable_state()->set_step(kStep);
  SortFiles(manifest);
  const absl::Status valid = ValidateManifest(manifest);
  if (valid.ok()) return manifest;
  return absl::InvalidArgumentError(valid.message());
}

void FillInfo(const LoopView& view, const std::string& job_id,
              CommitImportResponse& response) {
  const JobRecord& job = view.state.jobs.at(job_id);
  if (!job.checkpoints.empty()) {
    *response.mutable_info() = job.checkpoints.front();
  }
}

}  // namespace

grpc::ServerUnaryReactor* JobServiceAdapter::BeginImport(
    grpc::CallbackServerContext* context, const BeginImportRequest* request,
    BeginImportResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "BeginImport",
        absl::StrCat("new job ", request->job().name()));
  absl::StatusOr<BeginImportResponse> begun =
      Begin(request->job(), new_id_(), loop_);
  if (begun.ok()) *response = *std::move(begun);
  reactor->Finish(ToGrpcStatus(begun.status()));
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::CommitImport(
    grpc::CallbackServerContext* context, const CommitImportRequest* request,
    CommitImportResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "CommitImport", request->checkpoint().job_id());
  const auto finish = [reactor](const absl::Status& status) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  };
  if (const absl::Status store = CheckStore(loop_); !store.ok()) {
    return finish(store);
  }
  absl::StatusOr<BuiltPlan> built = PlanOf(request->job());
  if (!built.ok()) return finish(built.status());
  absl::StatusOr<CheckpointManifest> manifest =
      ManifestOf(*request, built->plan.job());
  if (!manifest.ok()) return finish(manifest.status());
  WeightsImported event{
      request->fence(),
      request->idempotency_key(),
      std::make_shared<const CheckpointManifest>(*std::move(manifest)),
      std::make_shared<const Plan>(std::move(built->plan)),
      std::move(built->parameter_layers),
      request->source()};
  const auto record = [this, finish, response,
                       event](const ClusterEvent& outcome) {
    const absl::Status& stored = std::get<CheckpointStored>(outcome).status;
    if (!stored.ok()) return static_cast<void>(finish(stored));
    loop_.Submit(event,
                 [finish, response](const absl::StatusOr<std::string>& id,
                                    const LoopView& view) {
                   if (id.ok()) FillInfo(view, *id, *response);
                   finish(id.status());
                 });
  };
  // A job that is there already is not to be written to, nor one made twice.
  loop_.Ask([this, finish, response, event, record](const LoopView& view) {
    const ClusterState& state = view.state;
    const auto known = state.job_of_idempotency_key.find(event.idempotency_key);
    if (known != state.job_of_idempotency_key.end()) {
      FillInfo(view, known->second, *response);
      return static_cast<void>(finish(absl::OkStatus()));
    }
    if (state.jobs.contains(event.manifest->id().job_id())) {
      return static_cast<void>(finish(absl::AlreadyExistsError(
          absl::StrCat("there is a job ", event.manifest->id().job_id(),
                       " already; begin the import again"))));
    }
    loop_.checkpoints()->Do(CommitCheckpoint{*event.manifest}, record);
  });
  return reactor;
}

}  // namespace penstock
