#ifndef PENSTOCK_CHECKPOINT_TRANSFER_STORE_SERVICE_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_STORE_SERVICE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "checkpoint/store/commit_store.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/sync_stream.h"
#include "proto/store_service.grpc.pb.h"

namespace penstock {

// Translates only: wire -> CommitStore -> wire.
class StoreServiceAdapter : public StoreService::Service {
 public:
  // Called with a job and its new epoch before the epoch's garbage is
  // collected.
  using OnEpoch = std::function<void(const std::string&, int64_t)>;

  // `store` must outlive it. `key` is that of the owner's token.
  StoreServiceAdapter(CommitStore& store, std::string key, OnEpoch on_epoch);

  grpc::Status ListJobs(grpc::ServerContext* context,
                        const ListStoredJobsRequest* request,
                        ListStoredJobsResponse* response) override;
  grpc::Status List(grpc::ServerContext* context,
                    const ListStoredRequest* request,
                    ListStoredResponse* response) override;
  grpc::Status ReadManifest(grpc::ServerContext* context,
                            const StoredCheckpointRequest* request,
                            CheckpointManifest* response) override;
  grpc::Status Commit(grpc::ServerContext* context,
                      const CommitStoredRequest* request,
                      CommitStoredResponse* response) override;
  grpc::Status Verify(
      grpc::ServerContext* context, const StoredCheckpointRequest* request,
      grpc::ServerWriter<VerifyStoredProgress>* writer) override;
  grpc::Status Delete(grpc::ServerContext* context,
                      const StoredCheckpointRequest* request,
                      DeleteStoredResponse* response) override;
  grpc::Status BeginEpoch(grpc::ServerContext* context,
                          const BeginStoreEpochRequest* request,
                          BeginStoreEpochResponse* response) override;

 private:
  absl::Status CheckOwner(absl::string_view token) const;

  CommitStore& store_;
  const std::string key_;
  const OnEpoch on_epoch_;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_STORE_SERVICE_H_
