#include "checkpoint/transfer/store_service.h"

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/transfer/grpc_status.h"
#include "checkpoint/transfer/token.h"

namespace penstock {
namespace {

StoredCheckpointInfo::State ToProto(StoredCheckpointState state) {
  switch (state) {
    case StoredCheckpointState::kCommitted:
      return StoredCheckpointInfo::COMMITTED;
    case StoredCheckpointState::kUncommitted:
      return StoredCheckpointInfo::UNCOMMITTED;
    case StoredCheckpointState::kDeleting:
      return StoredCheckpointInfo::DELETING;
  }
  return StoredCheckpointInfo::STATE_UNSPECIFIED;
}

}  // namespace

StoreServiceAdapter::StoreServiceAdapter(CommitStore& store, std::string key,
                                         OnEpoch on_epoch)
    : store_(store), key_(std::move(key)), on_epoch_(std::move(on_epoch)) {}

absl::Status StoreServiceAdapter::CheckOwner(absl::string_view token) const {
  const auto claim = ReadTransferToken(key_, token);
  if (!claim.ok()) return claim.status();
  if (claim->job_id == kOwnerJob) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "the token is a job's; only the store's owner commits and deletes");
}

grpc::Status StoreServiceAdapter::ListJobs(grpc::ServerContext* context,
                                           const ListStoredJobsRequest* request,
                                           ListStoredJobsResponse* response) {
  const absl::Status owner = CheckOwner(request->token());
  if (!owner.ok()) return ToGrpcStatus(owner);
  const auto jobs = store_.ListJobs();
  if (!jobs.ok()) return ToGrpcStatus(jobs.status());
  for (const std::string& job : *jobs) response->add_job_ids(job);
  return grpc::Status::OK;
}

grpc::Status StoreServiceAdapter::List(grpc::ServerContext* context,
                                       const ListStoredRequest* request,
                                       ListStoredResponse* response) {
  const absl::Status owner = CheckOwner(request->token());
  if (!owner.ok()) return ToGrpcStatus(owner);
  const auto found = store_.List(request->job_id());
  if (!found.ok()) return ToGrpcStatus(found.status());
  for (const StoredCheckpoint& checkpoint : *found) {
    StoredCheckpointInfo& info = *response->add_checkpoints();
    *info.mutable_id() = checkpoint.id;
    info.set_state(ToProto(checkpoint.state));
  }
  return grpc::Status::OK;
}

grpc::Status StoreServiceAdapter::ReadManifest(
    grpc::ServerContext* context, const StoredCheckpointRequest* request,
    CheckpointManifest* response) {
  const absl::Status owner = CheckOwner(request->token());
  if (!owner.ok()) return ToGrpcStatus(owner);
  auto manifest = store_.Read(request->checkpoint());
  if (!manifest.ok()) return ToGrpcStatus(manifest.status());
  *response = *std::move(manifest);
  return grpc::Status::OK;
}

grpc::Status StoreServiceAdapter::Commit(grpc::ServerContext* context,
                                         const CommitStoredRequest* request,
                                         CommitStoredResponse* response) {
  const absl::Status owner = CheckOwner(request->token());
  return ToGrpcStatus(owner.ok() ? store_.Commit(request->manifest()) : owner);
}

grpc::Status StoreServiceAdapter::Verify(
    grpc::ServerContext* context, const StoredCheckpointRequest* request,
    grpc::ServerWriter<VerifyStoredProgress>* writer) {
  const absl::Status owner = CheckOwner(request->token());
  if (!owner.ok()) return ToGrpcStatus(owner);
  return ToGrpcStatus(store_.Verify(
      request->checkpoint(), [&](const CommitStore::Progress& progress) {
        VerifyStoredProgress message;
        message.set_done_bytes(progress.done_bytes);
        message.set_total_bytes(progress.total_bytes);
        return writer->Write(message);
      }));
}

grpc::Status StoreServiceAdapter::Delete(grpc::ServerContext* context,
                                         const StoredCheckpointRequest* request,
                                         DeleteStoredResponse* response) {
  const absl::Status owner = CheckOwner(request->token());
  return ToGrpcStatus(owner.ok() ? store_.Delete(request->checkpoint())
                                 : owner);
}

grpc::Status StoreServiceAdapter::BeginEpoch(
    grpc::ServerContext* context, const BeginStoreEpochRequest* request,
    BeginStoreEpochResponse* response) {
  const absl::Status owner = CheckOwner(request->token());
  if (!owner.ok()) return ToGrpcStatus(owner);
  on_epoch_(request->job_id(), request->epoch());
  const auto removed =
      store_.CollectGarbage(request->job_id(), request->epoch());
  if (!removed.ok()) return ToGrpcStatus(removed.status());
  for (const CheckpointId& id : *removed) *response->add_removed() = id;
  return grpc::Status::OK;
}

}  // namespace penstock
