#include "checkpoint/transfer/remote_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/transfer/chunk.h"
#include "checkpoint/transfer/grpc_status.h"
#include "checkpoint/transfer/token.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "proto/store_service.grpc.pb.h"

namespace penstock {
namespace {

std::shared_ptr<grpc::Channel> MakeChannel(const RemoteStoreOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxManifestMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxManifestMessageBytes);
  return grpc::CreateCustomChannel(
      options.address, ChannelCredentialsOf(options.tls, {Role::kStore}),
      arguments);
}

StoredCheckpointState FromProto(StoredCheckpointInfo::State state) {
  switch (state) {
    case StoredCheckpointInfo::COMMITTED:
      return StoredCheckpointState::kCommitted;
    case StoredCheckpointInfo::DELETING:
      return StoredCheckpointState::kDeleting;
    default:
      return StoredCheckpointState::kUncommitted;
  }
}

// gRPC's generated client.
using Calls = StoreService::Stub;

class RemoteStore : public CommitStore {
 public:
  RemoteStore(RemoteStoreOptions options, const Clock& clock)
      : options_(std::move(options)),
        token_(MakeTransferToken(options_.key, {kOwnerJob, 0})),
        clock_(clock),
        calls_(StoreService::NewStub(MakeChannel(options_))) {}

  absl::StatusOr<std::vector<std::string>> ListJobs() const override {
    ListStoredJobsRequest request;
    ListStoredJobsResponse response;
    PENSTOCK_RETURN_IF_ERROR(Call(&Calls::ListJobs, request, response));
    return std::vector<std::string>(response.job_ids().begin(),
                                    response.job_ids().end());
  }

  absl::StatusOr<std::vector<StoredCheckpoint>> List(
      const std::string& job_id) const override {
    ListStoredRequest request;
    request.set_job_id(job_id);
    ListStoredResponse response;
    PENSTOCK_RETURN_IF_ERROR(Call(&Calls::List, request, response));
    std::vector<StoredCheckpoint> found;
    for (const StoredCheckpointInfo& info : response.checkpoints()) {
      found.push_back({info.id(), FromProto(info.state())});
    }
    return found;
  }

  absl::StatusOr<CheckpointManifest> Read(
      const CheckpointId& id) const override {
    CheckpointManifest manifest;
    PENSTOCK_RETURN_IF_ERROR(
        Call(&Calls::ReadManifest, RequestOf(id), manifest));
    return manifest;
  }

  absl::Status Commit(CheckpointManifest manifest) override {
    CommitStoredRequest request;
    *request.mutable_manifest() = std::move(manifest);
    CommitStoredResponse response;
    return Call(&Calls::Commit, request, response);
  }

  absl::Status Verify(
      const CheckpointId& id,
      const std::function<bool(const Progress&)>& report) const override {
    StoredCheckpointRequest request = RequestOf(id);
    request.set_token(token_);
    grpc::ClientContext context;
    const auto stream = calls_->Verify(&context, request);
    VerifyStoredProgress progress;
    bool goes_on = true;
    while (goes_on && stream->Read(&progress)) {
      goes_on =
          !report || report({progress.done_bytes(), progress.total_bytes()});
    }
    if (!goes_on) context.TryCancel();
    const absl::Status status = FromGrpcStatus(stream->Finish());
    if (goes_on) return Named(status);
    return absl::CancelledError(absl::StrCat("verified ", progress.done_bytes(),
                                             " of ", progress.total_bytes(),
                                             " bytes"));
  }

  absl::Status Delete(const CheckpointId& id) override {
    DeleteStoredResponse response;
    return Call(&Calls::Delete, RequestOf(id), response);
  }

  absl::StatusOr<std::vector<CheckpointId>> CollectGarbage(
      const std::string& job_id, int64_t live_epoch) override {
    BeginStoreEpochRequest request;
    request.set_job_id(job_id);
    request.set_epoch(live_epoch);
    BeginStoreEpochResponse response;
    PENSTOCK_RETURN_IF_ERROR(Call(&Calls::BeginEpoch, request, response));
    return std::vector<CheckpointId>(response.removed().begin(),
                                     response.removed().end());
  }

 private:
  static StoredCheckpointRequest RequestOf(const CheckpointId& id) {
    StoredCheckpointRequest request;
    *request.mutable_checkpoint() = id;
    return request;
  }

  // The store's own errors speak for themselves.
  absl::Status Named(const absl::Status& status) const {
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
      return status;
    }
    return absl::UnavailableError(absl::StrCat(
        "the store at ", options_.address, ": ", status.message()));
  }

  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (Calls::*method)(grpc::ClientContext*,
                                                  const Request&, Response*),
                    Request request, Response& response) const {
    request.set_token(token_);
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(clock_.Now() + options_.patience));
    return Named(
        FromGrpcStatus((calls_.get()->*method)(&context, request, &response)));
  }

  const RemoteStoreOptions options_;
  const std::string token_;
  const Clock& clock_;
  const std::unique_ptr<Calls> calls_;
};

}  // namespace

std::unique_ptr<CommitStore> MakeRemoteStore(RemoteStoreOptions options,
                                             const Clock& clock) {
  return std::make_unique<RemoteStore>(std::move(options), clock);
}

}  // namespace penstock
