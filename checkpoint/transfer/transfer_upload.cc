#include "checkpoint/transfer/transfer_upload.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/transfer/chunk.h"
#include "checkpoint/transfer/grpc_status.h"
#include "grpcpp/support/client_callback.h"

namespace penstock {
namespace {

// Of calls that end without an acknowledgement, for which no connection is to
// blame.
constexpr int kMaxTries = 4;
// One step of acknowledgements.
constexpr size_t kMaxSpares = 16;
constexpr absl::Duration kQueryLimit = absl::Seconds(5);

}  // namespace

// One call. A hold keeps it open for writes from outside gRPC's callbacks until
// the reads have ended. What it has in common with its upload is guarded by the
// client's mutex.
class TransferUpload::Call
    : public grpc::ClientBidiReactor<UploadMessage, UploadAck> {
 public:
  Call(TransferUpload& upload, UploadMessage header)
      : upload_(upload), client_(upload.client_), header_(std::move(header)) {}

  void Open() ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex()) {
    client_.Add(&context_);
    client_.stub().async()->Upload(&context_, this);
    AddHold();
    StartRead(&ack_);
    writing_ = true;
    StartWrite(&header_);
    StartCall();
  }

  // Writes what is waiting, one message at a time.
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex()) {
    if (writing_ || reads_ended_) return;
    if (num_written_ < upload_.kept_.size()) {
      writing_ = true;
      StartWrite(&upload_.kept_[num_written_++].message);
    } else if (ack_wanted_) {
      ack_wanted_ = false;
      writing_ = true;
      UploadChunk& chunk = *ack_request_.mutable_chunk();
      chunk.set_offset_bytes(upload_.kept_.empty() ? upload_.acknowledged_bytes_
                                                   : upload_.kept_.back().end);
      StartWrite(&ack_request_);
    }
  }

  void RequestAck() ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex()) {
    if (upload_.kept_.empty()) return;
    const Chunk& newest = upload_.kept_.back();
    // The end of the file is acknowledged without being asked for.
    if (newest.message.chunk().last() || ack_requested_at_ == newest.end) {
      return;
    }
    ack_requested_at_ = newest.end;
    ack_wanted_ = true;
    WriteNext();
  }

  // How many of the chunks that are kept gRPC is done with.
  size_t num_done() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex()) {
    return num_written_ - (writing_ && num_written_ > 0 ? 1 : 0);
  }
  void Dropped(size_t num_chunks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex()) {
    num_written_ -= num_chunks;
  }

  void Cancel() { context_.TryCancel(); }

  // Nothing while it runs. Then it may be destroyed.
  const std::optional<absl::Status>& ended() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex()) {
    return ended_;
  }

 private:
  void OnWriteDone(bool ok) override {
    MutexLock lock(&client_.mutex());
    writing_ = false;
    upload_.DropAcknowledged();
    // After a failed write the read ends too, and tells why.
    if (ok) WriteNext();
  }

  void OnReadDone(bool ok) override {
    {
      MutexLock lock(&client_.mutex());
      if (ok) {
        upload_.TakeAck(ack_);
        StartRead(&ack_);
        return;
      }
      reads_ended_ = true;
    }
    RemoveHold();
  }

  void OnDone(const grpc::Status& status) override {
    MutexLock lock(&client_.mutex());
    client_.Remove(&context_);
    ended_ = status.ok() ? absl::InternalError(
                               "the store ended the call before the file's end")
                         : FromGrpcStatus(status);
    client_.changed().SignalAll();
  }

  TransferUpload& upload_;
  TransferClient& client_;
  grpc::ClientContext context_;
  const UploadMessage header_;
  UploadMessage ack_request_;
  UploadAck ack_;
  bool writing_ ABSL_GUARDED_BY(client_.mutex()) = false;
  bool reads_ended_ ABSL_GUARDED_BY(client_.mutex()) = false;
  bool ack_wanted_ ABSL_GUARDED_BY(client_.mutex()) = false;
  int64_t ack_requested_at_ ABSL_GUARDED_BY(client_.mutex()) = -1;
  // Of the chunks that are kept, counted from the first.
  size_t num_written_ ABSL_GUARDED_BY(client_.mutex()) = 0;
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(client_.mutex());
};

TransferUpload::TransferUpload(TransferClient& client, CheckpointId checkpoint,
                               std::string file, int64_t size_bytes)
    : client_(client),
      checkpoint_(std::move(checkpoint)),
      file_(std::move(file)),
      size_bytes_(size_bytes) {
  MutexLock lock(&client_.mutex());
  client_.Add(static_cast<AckRequester*>(this));
}

TransferUpload::~TransferUpload() {
  MutexLock lock(&client_.mutex());
  client_.Remove(static_cast<AckRequester*>(this));
  if (call_ != nullptr && !call_->ended().has_value()) call_->Cancel();
  while (call_ != nullptr && !call_->ended().has_value()) {
    client_.changed().Wait(&client_.mutex());
  }
  call_.reset();
  int64_t kept_bytes = 0;
  for (const Chunk& chunk : kept_) kept_bytes += chunk.size_bytes;
  client_.GiveBudget(kept_bytes);
}

absl::Status TransferUpload::Append(absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > size_bytes_ - appended_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(
        file_, ": ", bytes.size(), " bytes at byte ", appended_bytes_,
        " are more than the file's ", size_bytes_));
  }
  while (!bytes.empty()) {
    const size_t room = kChunkBytes - filling_.size();
    const absl::string_view piece = bytes.substr(0, room);
    if (filling_.empty()) {
      filling_.reserve(std::min(kChunkBytes, size_bytes_ - appended_bytes_));
    }
    filling_.append(piece.data(), piece.size());
    appended_bytes_ += static_cast<int64_t>(piece.size());
    bytes.remove_prefix(piece.size());
    const bool last = appended_bytes_ == size_bytes_;
    if (last || static_cast<int64_t>(filling_.size()) == kChunkBytes) {
      PENSTOCK_RETURN_IF_ERROR(Enqueue(last));
    }
  }
  return absl::OkStatus();
}

absl::Status TransferUpload::Enqueue(bool last) {
  Chunk kept;
  kept.size_bytes = static_cast<int64_t>(filling_.size());
  kept.end = appended_bytes_;
  UploadChunk& chunk = *kept.message.mutable_chunk();
  chunk.set_offset_bytes(appended_bytes_ - kept.size_bytes);
  const uint32_t crc = Crc32c(filling_);
  chunk.set_crc32c(crc);
  crc32c_ = Crc32c(filling_, crc32c_);
  chunk.set_data(std::move(filling_));
  chunk.set_last(last);
  filling_.clear();

  const absl::Time start = client_.Now();
  MutexLock lock(&client_.mutex());
  while (true) {
    PENSTOCK_RETURN_IF_ERROR(KeepCall());
    if (client_.TakeBudget(kept.size_bytes)) break;
    PENSTOCK_RETURN_IF_ERROR(WaitForChange(start));
  }
  kept_.push_back(std::move(kept));
  call_->WriteNext();
  if (!spares_.empty()) {
    filling_ = std::move(spares_.back());
    filling_.clear();
    spares_.pop_back();
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredFile> TransferUpload::Finish() {
  if (appended_bytes_ != size_bytes_) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_, " ends after ", appended_bytes_, " bytes, wanted ",
                     size_bytes_));
  }
  // Only an empty file has not sent its last chunk yet.
  if (size_bytes_ == 0) PENSTOCK_RETURN_IF_ERROR(Enqueue(/*last=*/true));
  const absl::Time start = client_.Now();
  MutexLock lock(&client_.mutex());
  while (!complete_) {
    PENSTOCK_RETURN_IF_ERROR(KeepCall());
    PENSTOCK_RETURN_IF_ERROR(WaitForChange(start));
  }
  if (stored_crc32c_ != crc32c_) {
    return absl::DataLossError(
        absl::StrCat(file_, " of the checkpoint of ", Describe(checkpoint_),
                     ": the store has checksum ", stored_crc32c_, ", sent ",
                     crc32c_, "; send the file anew"));
  }
  return StoredFile{size_bytes_, stored_crc32c_};
}

void TransferUpload::RequestAck() {
  if (call_ != nullptr) call_->RequestAck();
}

absl::Status TransferUpload::Named(const absl::Status& status) const {
  return WithContext(status, absl::StrCat(file_, " of the checkpoint of ",
                                          Describe(checkpoint_)));
}

absl::Status TransferUpload::WaitForChange(absl::Time start) {
  if (complete_ || (call_ != nullptr && call_->ended().has_value())) {
    return absl::OkStatus();
  }
  PENSTOCK_RETURN_IF_ERROR(client_.cancelled());
  const absl::Time limit = client_.WaitLimit(start);
  if (client_.Now() >= limit) return Named(client_.Gone(absl::OkStatus()));
  client_.changed().WaitWithDeadline(&client_.mutex(), limit);
  return absl::OkStatus();
}

absl::Status TransferUpload::KeepCall() {
  PENSTOCK_RETURN_IF_ERROR(client_.cancelled());
  if (call_ == nullptr) OpenCall();
  while (!complete_ && call_->ended().has_value()) {
    const absl::Status why = *call_->ended();
    PENSTOCK_RETURN_IF_ERROR(client_.cancelled());
    if (absl::IsOutOfRange(why)) {
      return Named(absl::AbortedError(
          absl::StrCat("the store has given the upload up: ", why.message())));
    }
    if (!IsWorthAnotherTry(why, kMaxTries - num_tries_)) return Named(why);
    if (num_tries_++ == 0) first_failure_ = client_.Now();
    if (client_.Now() >= client_.WaitLimit(first_failure_)) {
      return Named(client_.Gone(why));
    }
    client_.BackOff(num_tries_);
    PENSTOCK_RETURN_IF_ERROR(client_.cancelled());
    const absl::Status position = AskPosition();
    if (position.ok()) {
      OpenCall();
    } else if (!IsWorthAnotherTry(position, kMaxTries - num_tries_)) {
      return Named(position);
    }
  }
  return absl::OkStatus();
}

absl::Status TransferUpload::AskPosition() {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(client_.Now() + kQueryLimit));
  QueryUploadRequest request;
  *request.mutable_checkpoint() = checkpoint_;
  request.set_file(file_);
  request.set_token(client_.options().token);
  if (const auto rank = client_.options().rank) request.set_rank(*rank);
  QueryUploadResponse response;
  client_.Add(&context);
  client_.mutex().Unlock();
  const grpc::Status status =
      client_.stub().QueryUpload(&context, request, &response);
  client_.mutex().Lock();
  client_.Remove(&context);
  if (!status.ok()) return FromGrpcStatus(status);
  // A file of that name may be an older one, as long as not all was sent.
  const bool sent_all = !kept_.empty() && kept_.back().message.chunk().last();
  if (!response.complete() || response.durable_bytes() != size_bytes_ ||
      !sent_all) {
    return absl::OkStatus();
  }
  // Only the answer was lost: ask for it with the empty end of the file.
  Chunk end;
  end.end = size_bytes_;
  end.message.mutable_chunk()->set_offset_bytes(size_bytes_);
  end.message.mutable_chunk()->set_last(true);
  int64_t kept_bytes = 0;
  for (const Chunk& chunk : kept_) kept_bytes += chunk.size_bytes;
  kept_.clear();
  client_.GiveBudget(kept_bytes);
  kept_.push_back(std::move(end));
  acknowledged_bytes_ = size_bytes_;
  return absl::OkStatus();
}

void TransferUpload::OpenCall() {
  UploadMessage message;
  UploadHeader& header = *message.mutable_header();
  header.mutable_fence()->set_coordinator_term(
      client_.options().coordinator_term);
  header.mutable_fence()->set_job_epoch(checkpoint_.epoch());
  *header.mutable_checkpoint() = checkpoint_;
  header.set_file(file_);
  header.set_size_bytes(size_bytes_);
  header.set_offset_bytes(kept_.empty()
                              ? acknowledged_bytes_
                              : kept_.front().end - kept_.front().size_bytes);
  header.set_token(client_.options().token);
  if (const auto rank = client_.options().rank) header.set_rank(*rank);
  call_ = std::make_unique<Call>(*this, std::move(message));
  call_->Open();
  // Whoever waits for acknowledgements has to ask this call for them.
  client_.changed().SignalAll();
}

void TransferUpload::TakeAck(const UploadAck& ack) {
  if (ack.durable_bytes() > acknowledged_bytes_) {
    acknowledged_bytes_ = ack.durable_bytes();
  }
  if (ack.complete()) {
    complete_ = true;
    acknowledged_bytes_ = size_bytes_;
    stored_crc32c_ = ack.crc32c();
  }
  num_tries_ = 0;
  client_.NoteProgress();
  DropAcknowledged();
}

void TransferUpload::DropAcknowledged() {
  size_t num_dropped = 0;
  int64_t dropped_bytes = 0;
  while (num_dropped < call_->num_done() &&
         kept_[num_dropped].end <= acknowledged_bytes_ &&
         (complete_ || !kept_[num_dropped].message.chunk().last())) {
    Chunk& chunk = kept_[num_dropped++];
    dropped_bytes += chunk.size_bytes;
    if (spares_.size() < kMaxSpares) {
      spares_.push_back(
          std::move(*chunk.message.mutable_chunk()->mutable_data()));
    }
  }
  if (num_dropped == 0) return;
  kept_.erase(kept_.begin(), kept_.begin() + num_dropped);
  call_->Dropped(num_dropped);
  client_.GiveBudget(dropped_bytes);
}

}  // namespace penstock
