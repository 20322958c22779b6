#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_CLIENT_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_CLIENT_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "proto/transfer_service.grpc.pb.h"

namespace penstock {

// What asks all uploads of a client for acknowledgements.
class AckRequester {
 public:
  virtual ~AckRequester() = default;
  // Called with the client's mutex held.
  virtual void RequestAck() = 0;
};

// Whether the same call, made again, may succeed. `tries_left` says whether it
// is worth it where nothing says that the connection was to blame.
bool IsWorthAnotherTry(const absl::Status& status, int tries_left);

// The connection that the uploads and reads of one store share: its calls, its
// end, and the bytes that are under way. One mutex for all of them: they meet
// once per chunk. Thread-safe.
class TransferClient {
 public:
  TransferClient(TransferClientOptions options, const Clock& clock);

  const TransferClientOptions& options() const { return options_; }
  TransferService::Stub& stub() { return *stub_; }

  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }
  // Signalled whenever anything that may be waited for has changed.
  CondVar& changed() { return changed_; }

  void Cancel(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status cancelled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return cancelled_;
  }

  // A call that `Cancel` is to end. It must not have begun to, when it is
  // added; cancelled at once if the client is.
  void Add(grpc::ClientContext* context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(grpc::ClientContext* context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Add(AckRequester* upload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(AckRequester* upload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Whether so many bytes may be sent now; if not, asks for acknowledgements,
  // after which they may be. One chunk may always be under way.
  bool TakeBudget(int64_t size_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBudget(int64_t size_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Time Now() const { return clock_.Now(); }
  // The last time that the store has got on with anything.
  void NoteProgress() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // When a wait that began at `start` has lasted too long.
  absl::Time WaitLimit(absl::Time start) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // UNAVAILABLE, naming the address, the patience and `last`.
  absl::Status Gone(const absl::Status& last) const;
  // Waits before the `attempt`-th new try (from 0), but for a cancellation.
  void BackOff(int attempt) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

 private:
  const TransferClientOptions options_;
  const Clock& clock_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<TransferService::Stub> stub_;

  mutable Mutex mutex_;
  CondVar changed_;
  absl::Status cancelled_ ABSL_GUARDED_BY(mutex_);
  std::set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
  std::set<AckRequester*> uploads_ ABSL_GUARDED_BY(mutex_);
  int64_t unacked_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_CLIENT_H_
