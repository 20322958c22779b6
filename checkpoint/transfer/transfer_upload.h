#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_UPLOAD_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_UPLOAD_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "checkpoint/shards/shard_store.h"
#include "checkpoint/transfer/transfer_client.h"
#include "proto/transfer_service.grpc.pb.h"

namespace penstock {

// One file on its way to a TransferService. Keeps each chunk until it is
// acknowledged as durable; when the call breaks, makes another that begins
// there.
class TransferUpload : public ShardUpload, private AckRequester {
 public:
  // `client` must outlive it.
  TransferUpload(TransferClient& client, CheckpointId checkpoint,
                 std::string file, int64_t size_bytes);
  // Ends the call, if it runs.
  ~TransferUpload() override;

  absl::Status Append(absl::string_view bytes) override;
  absl::StatusOr<StoredFile> Finish() override;

 private:
  class Call;
  struct Chunk {
    UploadMessage message;
    int64_t size_bytes = 0;
    int64_t end = 0;
  };

  void RequestAck() override;

  // Hands on the chunk that is filled, once it may be under way.
  absl::Status Enqueue(bool last);
  // Opens a call if there is none, a new one if the last has ended.
  absl::Status KeepCall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex());
  // Where to go on after a call that has ended; also changes what is kept.
  absl::Status AskPosition() ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex());
  void OpenCall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex());
  // Waits for a change, at most as long as the client's patience since `start`.
  absl::Status WaitForChange(absl::Time start)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex());
  // Called by the call.
  void TakeAck(const UploadAck& ack)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex());
  void DropAcknowledged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(client_.mutex());
  absl::Status Named(const absl::Status& status) const;

  TransferClient& client_;
  const CheckpointId checkpoint_;
  const std::string file_;
  const int64_t size_bytes_;

  // Of the thread that appends.
  std::string filling_;
  int64_t appended_bytes_ = 0;
  uint32_t crc32c_ = 0;

  // Not acknowledged yet, in order. The call refers to the one it writes.
  std::deque<Chunk> kept_ ABSL_GUARDED_BY(client_.mutex());
  // Buffers of chunks that have been, since fresh memory costs a page fault for
  // each of its pages.
  std::vector<std::string> spares_ ABSL_GUARDED_BY(client_.mutex());
  int64_t acknowledged_bytes_ ABSL_GUARDED_BY(client_.mutex()) = 0;
  bool complete_ ABSL_GUARDED_BY(client_.mutex()) = false;
  uint32_t stored_crc32c_ ABSL_GUARDED_BY(client_.mutex()) = 0;
  std::unique_ptr<Call> call_ ABSL_GUARDED_BY(client_.mutex());
  // Calls that have ended since the last acknowledgement.
  int num_tries_ ABSL_GUARDED_BY(client_.mutex()) = 0;
  // When the first of them did.
  absl::Time first_failure_ ABSL_GUARDED_BY(client_.mutex());
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_UPLOAD_H_
