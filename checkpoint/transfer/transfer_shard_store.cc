#include "checkpoint/transfer/transfer_shard_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/transfer/grpc_status.h"
#include "checkpoint/transfer/transfer_client.h"
#include "checkpoint/transfer/transfer_upload.h"
#include "grpcpp/support/sync_stream.h"

namespace penstock {
namespace {

// Of calls that end without having brought anything, for which no connection is
// to blame.
constexpr int kMaxTries = 4;
constexpr int64_t kMaxReservedBytes = int64_t{64} << 20;
// What a read may take besides the patience: a slow disk is not a dead one.
constexpr double kSlowestBytesPerSecond = 1 << 20;

// A range of a file as it comes, over as many calls as it takes.
class RangeReader {
 public:
  RangeReader(TransferClient& client, ReadRequest request)
      : client_(client),
        request_(std::move(request)),
        end_(request_.offset_bytes() + request_.size_bytes()) {}

  absl::StatusOr<std::string> Run() {
    // Not all that is asked for, which the store may not have.
    bytes_.reserve(std::min(request_.size_bytes(), kMaxReservedBytes));
    const absl::Time start = client_.Now();
    for (int num_tries = 1;; ++num_tries) {
      const size_t size_before = bytes_.size();
      const absl::Status status = RunCall();
      if (status.ok()) return std::move(bytes_);
      if (bytes_.size() > size_before) num_tries = 0;
      MutexLock lock(&client_.mutex());
      PENSTOCK_RETURN_IF_ERROR(client_.cancelled());
      if (!IsWorthAnotherTry(status, kMaxTries - num_tries)) return status;
      if (client_.Now() >= client_.WaitLimit(start)) {
        return client_.Gone(status);
      }
      client_.BackOff(num_tries);
      PENSTOCK_RETURN_IF_ERROR(client_.cancelled());
    }
  }

 private:
  int64_t next_offset() const {
    return end_ - request_.size_bytes() + static_cast<int64_t>(bytes_.size());
  }

  absl::Status RunCall() {
    ReadRequest request = request_;
    request.set_offset_bytes(next_offset());
    request.set_size_bytes(end_ - next_offset());
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(
        client_.Now() + client_.options().patience +
        absl::Seconds(request.size_bytes() / kSlowestBytesPerSecond)));
    {
      MutexLock lock(&client_.mutex());
      client_.Add(&context);
    }
    const auto stream = client_.stub().Read(&context, request);
    ReadChunk chunk;
    absl::Status taken;
    while (taken.ok() && stream->Read(&chunk)) taken = Take(chunk);
    if (!taken.ok()) context.TryCancel();
    const grpc::Status finished = stream->Finish();
    MutexLock lock(&client_.mutex());
    client_.Remove(&context);
    if (!taken.ok()) return taken;
    if (!finished.ok()) return FromGrpcStatus(finished);
    if (next_offset() == end_) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("the store sent ", bytes_.size(),
                                            " bytes, wanted ",
                                            request_.size_bytes()));
  }

  absl::Status Take(const ReadChunk& chunk) {
    const auto size = static_cast<int64_t>(chunk.data().size());
    if (chunk.offset_bytes() != next_offset() || size > end_ - next_offset() ||
        Crc32c(chunk.data()) != chunk.crc32c()) {
      return absl::DataLossError(absl::StrCat(
          "what came at byte ", next_offset(), " is not what the store sent"));
    }
    bytes_ += chunk.data();
    MutexLock lock(&client_.mutex());
    client_.NoteProgress();
    return absl::OkStatus();
  }

  TransferClient& client_;
  const ReadRequest request_;
  const int64_t end_;
  std::string bytes_;
};

class TransferShardStore : public ShardStore {
 public:
  TransferShardStore(TransferClientOptions options, const Clock& clock)
      : client_(std::move(options), clock) {}

  absl::StatusOr<std::unique_ptr<ShardUpload>> Begin(
      const CheckpointId& checkpoint, const std::string& file,
      int64_t size_bytes) override {
    PENSTOCK_RETURN_IF_ERROR(CheckCheckpointId(checkpoint));
    PENSTOCK_RETURN_IF_ERROR(CheckStoredName(file));
    if (size_bytes < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": wanted a size, got ", size_bytes));
    }
    PENSTOCK_RETURN_IF_ERROR(cancelled());
    return std::make_unique<TransferUpload>(client_, checkpoint, file,
                                            size_bytes);
  }

  absl::StatusOr<std::string> Read(const CheckpointId& checkpoint,
                                   const std::string& file,
                                   int64_t offset_bytes,
                                   int64_t size_bytes) const override {
    PENSTOCK_RETURN_IF_ERROR(cancelled());
    if (offset_bytes < 0 || size_bytes < 0 ||
        offset_bytes > INT64_MAX - size_bytes) {
      return absl::OutOfRangeError(absl::StrCat(
          file, ": there are no ", size_bytes, " bytes at ", offset_bytes));
    }
    ReadRequest request;
    *request.mutable_checkpoint() = checkpoint;
    request.set_file(file);
    request.set_offset_bytes(offset_bytes);
    request.set_size_bytes(size_bytes);
    request.set_token(client_.options().token);
    if (const auto rank = client_.options().rank) request.set_rank(*rank);
    absl::StatusOr<std::string> bytes =
        RangeReader(client_, std::move(request)).Run();
    if (bytes.ok()) return bytes;
    return WithContext(
        bytes.status(),
        absl::StrCat(file, " of the checkpoint of ", Describe(checkpoint)));
  }

  void Cancel(absl::Status why) override { client_.Cancel(std::move(why)); }

 private:
  absl::Status cancelled() const {
    MutexLock lock(&client_.mutex());
    return client_.cancelled();
  }

  // Reading is const for the store's user, not for its connection.
  mutable TransferClient client_;
};

}  // namespace

std::unique_ptr<ShardStore> MakeTransferShardStore(
    TransferClientOptions options, const Clock& clock) {
  return std::make_unique<TransferShardStore>(std::move(options), clock);
}

}  // namespace penstock
