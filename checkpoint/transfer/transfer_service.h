#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SERVICE_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SERVICE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/upload_registry.h"
#include "checkpoint/upload/part_file.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/sync_stream.h"
#include "proto/transfer_service.grpc.pb.h"

namespace penstock {

// Translates between the wire and part files. One thread per running call:
// each of them waits for storage most of its time.
class TransferServiceAdapter : public TransferService::Service {
 public:
  // `files` must outlive it.
  TransferServiceAdapter(FileSystem& files, std::string root,
                         const TransferServer::Options& options);

  void BeginEpoch(const std::string& job_id, int64_t epoch);

  using UploadStream = grpc::ServerReaderWriter<UploadAck, UploadMessage>;

  grpc::Status Upload(grpc::ServerContext* context,
                      UploadStream* stream) override;
  grpc::Status QueryUpload(grpc::ServerContext* context,
                           const QueryUploadRequest* request,
                           QueryUploadResponse* response) override;
  grpc::Status Read(grpc::ServerContext* context, const ReadRequest* request,
                    grpc::ServerWriter<ReadChunk>* writer) override;

 private:
  // Where a request's files are, of a rank if it names one.
  template <typename Request>
  absl::StatusOr<std::string> RootOf(const Request& request) const;
  absl::Status CheckWriter(absl::string_view token, const CheckpointId& id);
  absl::Status CheckReader(absl::string_view token,
                           const std::string& job_id) const;
  absl::Status TakeUpload(grpc::ServerContext* context, UploadStream& stream);
  // Whether it has come to the file's end.
  absl::StatusOr<bool> TakeChunks(const UploadHeader& header,
                                  UploadStream& stream, int64_t number,
                                  PartFile& part);
  absl::Status Send(const ReadRequest& request,
                    grpc::ServerWriter<ReadChunk>& writer) const;

  FileSystem& files_;
  const std::string root_;
  const std::string key_;
  PartKeeper* const parts_;
  UploadRegistry uploads_;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SERVICE_H_
