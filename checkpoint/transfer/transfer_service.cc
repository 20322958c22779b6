#include "checkpoint/transfer/transfer_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/shards/committed_file.h"
#include "checkpoint/transfer/chunk.h"
#include "checkpoint/transfer/grpc_status.h"
#include "checkpoint/transfer/token.h"

namespace penstock {
namespace {

absl::Status ClientGone() {
  return absl::CancelledError("the sender is gone before the file's end");
}

// `written_bytes` is where the next chunk begins.
absl::Status CheckChunk(const UploadChunk& chunk, int64_t written_bytes) {
  if (chunk.offset_bytes() != written_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("a chunk begins at byte ",
                                                   chunk.offset_bytes(),
                                                   ", wanted ", written_bytes));
  }
  if (Crc32c(chunk.data()) != chunk.crc32c()) {
    return absl::DataLossError(absl::StrCat("the chunk at byte ", written_bytes,
                                            " is not what its checksum says; "
                                            "send it again"));
  }
  return absl::OkStatus();
}

}  // namespace

TransferServiceAdapter::TransferServiceAdapter(
    FileSystem& files, std::string root, const TransferServer::Options& options)
    : files_(files),
      root_(std::move(root)),
      key_(options.key),
      parts_(options.parts),
      uploads_(options.stall_limit, [this](const UploadTable::Upload& upload) {
        const std::string root =
            upload.rank.has_value() ? RankPath(root_, *upload.rank) : root_;
        // What stays is collected with its checkpoint.
        RemovePart(files_, root, upload.checkpoint, upload.file).IgnoreError();
      }) {}

template <typename Request>
absl::StatusOr<std::string> TransferServiceAdapter::RootOf(
    const Request& request) const {
  if (request.has_rank() != (parts_ != nullptr) || request.rank() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        request.file(), " is of ",
        request.has_rank() ? absl::StrCat("rank ", request.rank()) : "no rank",
        "; here are ",
        parts_ != nullptr ? "ranks' parts of states in memory, from rank 0 on"
                          : "checkpoints, which are of no rank"));
  }
  return parts_ == nullptr ? root_ : RankPath(root_, request.rank());
}

void TransferServiceAdapter::BeginEpoch(const std::string& job_id,
                                        int64_t epoch) {
  uploads_.BeginEpoch(job_id, epoch);
}

absl::Status TransferServiceAdapter::CheckWriter(absl::string_view token,
                                                 const CheckpointId& id) {
  if (parts_ != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(parts_->CheckToken(token, id.job_id()));
    uploads_.BeginEpoch(id.job_id(), id.epoch());
    return absl::OkStatus();
  }
  PENSTOCK_ASSIGN_OR_RETURN(const TransferClaim claim,
                            ReadTransferToken(key_, token));
  if (claim.job_id != id.job_id() || claim.epoch != id.epoch()) {
    return absl::PermissionDeniedError(
        absl::StrCat("the token is of epoch ", claim.epoch, " of job ",
                     claim.job_id, "; the file is of ", Describe(id)));
  }
  // Whoever has this token is of an epoch that has ended those before it.
  uploads_.BeginEpoch(claim.job_id, claim.epoch);
  return absl::OkStatus();
}

absl::Status TransferServiceAdapter::CheckReader(
    absl::string_view token, const std::string& job_id) const {
  if (parts_ != nullptr) return parts_->CheckToken(token, job_id);
  return ReadTransferToken(key_, token).status();
}

grpc::Status TransferServiceAdapter::Upload(grpc::ServerContext* context,
                                            UploadStream* stream) {
  return ToGrpcStatus(TakeUpload(context, *stream));
}

absl::Status TransferServiceAdapter::TakeUpload(grpc::ServerContext* context,
                                                UploadStream& stream) {
  UploadMessage first;
  if (!stream.Read(&first)) return ClientGone();
  if (!first.has_header()) {
    return absl::InvalidArgumentError(
        "an upload begins with its header; got a chunk");
  }
  const UploadHeader& header = first.header();
  PENSTOCK_RETURN_IF_ERROR(CheckWriter(header.token(), header.checkpoint()));
  // Before the registry knows it, so that no name goes there unchecked.
  PENSTOCK_RETURN_IF_ERROR(CheckCheckpointId(header.checkpoint()));
  PENSTOCK_RETURN_IF_ERROR(CheckStoredName(header.file()));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string root, RootOf(header));
  UploadTable::Upload upload = {header.checkpoint(), header.file()};
  if (header.has_rank()) upload.rank = header.rank();
  PENSTOCK_ASSIGN_OR_RETURN(
      const int64_t number,
      uploads_.Begin(upload, [context] { context->TryCancel(); }));
  absl::StatusOr<PartFile> part = PartFile::Begin(
      files_, root, {header.checkpoint(), header.file(), header.size_bytes()},
      header.offset_bytes());
  const absl::StatusOr<bool> complete =
      part.ok() ? TakeChunks(header, stream, number, *part) : part.status();
  uploads_.End(number, complete.ok() && *complete);
  if (!complete.ok()) return complete.status();
  return *complete ? absl::OkStatus() : ClientGone();
}

absl::StatusOr<bool> TransferServiceAdapter::TakeChunks(
    const UploadHeader& header, UploadStream& stream, int64_t number,
    PartFile& part) {
  int64_t acknowledged_bytes = part.durable_bytes();
  UploadMessage message;
  while (stream.Read(&message)) {
    if (!message.has_chunk()) {
      return absl::InvalidArgumentError("an upload has one header");
    }
    const UploadChunk& chunk = message.chunk();
    PENSTOCK_RETURN_IF_ERROR(uploads_.Touch(number));
    PENSTOCK_RETURN_IF_ERROR(CheckChunk(chunk, part.written_bytes()));
    PENSTOCK_RETURN_IF_ERROR(part.Append(chunk.data()));
    if (chunk.data().empty()) PENSTOCK_RETURN_IF_ERROR(part.Sync());
    UploadAck ack;
    if (chunk.last()) {
      PENSTOCK_ASSIGN_OR_RETURN(const StoredFile stored, part.Finish());
      // Before the sender hears of it and says so to others.
      if (parts_ != nullptr && header.file() == kPartFile) {
        parts_->PartStored(header.checkpoint(), header.rank());
      }
      ack.set_complete(true);
      ack.set_crc32c(stored.crc32c);
    }
    if (ack.complete() || part.durable_bytes() > acknowledged_bytes) {
      acknowledged_bytes = part.durable_bytes();
      ack.set_durable_bytes(acknowledged_bytes);
      // Whether it arrives or not, it is so; a later query will say it.
      stream.Write(ack);
    }
    if (ack.complete()) return true;
  }
  return false;
}

grpc::Status TransferServiceAdapter::QueryUpload(
    grpc::ServerContext* context, const QueryUploadRequest* request,
    QueryUploadResponse* response) {
  const absl::Status allowed =
      CheckWriter(request->token(), request->checkpoint());
  if (!allowed.ok()) return ToGrpcStatus(allowed);
  const absl::StatusOr<std::string> root = RootOf(*request);
  if (!root.ok()) return ToGrpcStatus(root.status());
  const absl::StatusOr<PartPosition> position =
      FindPart(files_, *root, request->checkpoint(), request->file());
  if (!position.ok()) return ToGrpcStatus(position.status());
  response->set_durable_bytes(position->durable_bytes);
  response->set_complete(position->complete);
  return grpc::Status::OK;
}

grpc::Status TransferServiceAdapter::Read(
    grpc::ServerContext* context, const ReadRequest* request,
    grpc::ServerWriter<ReadChunk>* writer) {
  const absl::Status allowed =
      CheckReader(request->token(), request->checkpoint().job_id());
  if (!allowed.ok()) return ToGrpcStatus(allowed);
  return ToGrpcStatus(Send(*request, *writer));
}

absl::Status TransferServiceAdapter::Send(
    const ReadRequest& request, grpc::ServerWriter<ReadChunk>& writer) const {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string root, RootOf(request));
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::unique_ptr<ReadableFile> file,
      OpenCommitted(files_, root, request.checkpoint(), request.file(),
                    parts_ == nullptr ? kCommitFile : kPartFile));
  if (request.offset_bytes() < 0 || request.size_bytes() < 0 ||
      request.size_bytes() > file->size_bytes() - request.offset_bytes()) {
    return absl::OutOfRangeError(absl::StrCat(
        request.file(), " has ", file->size_bytes(), " bytes; wanted ",
        request.size_bytes(), " from byte ", request.offset_bytes()));
  }
  int64_t offset = request.offset_bytes();
  const int64_t end = offset + request.size_bytes();
  ReadChunk chunk;
  while (offset < end) {
    PENSTOCK_ASSIGN_OR_RETURN(
        *chunk.mutable_data(),
        file->Read(offset, std::min(kChunkBytes, end - offset)));
    chunk.set_offset_bytes(offset);
    chunk.set_crc32c(Crc32c(chunk.data()));
    offset += static_cast<int64_t>(chunk.data().size());
    if (!writer.Write(chunk)) {
      return absl::CancelledError("the reader is gone");
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock
