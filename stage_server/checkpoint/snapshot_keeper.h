#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_SNAPSHOT_KEEPER_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_SNAPSHOT_KEEPER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/stage_service.pb.h"
#include "stage_server/checkpoint/state_memory.h"
#include "stage_server/engine/engine_state.h"

namespace penstock {

// Keeps one rank's snapshots in memory while training goes on, one after the
// other, on a thread of its own: each in this server's StateMemory, and then in
// that of a peer. Thread-safe.
//
// A peer that cannot be reached is not tried again for a second, then for two,
// and so on to a minute: meanwhile there are only the own parts, and nobody
// waits.
class SnapshotKeeper {
 public:
  // The rank's parts in the memory of the server at `address`.
  using OpenParts = std::function<std::unique_ptr<ShardStore>(
      const std::string& address, const std::string& token, int rank)>;
  // A part that is not where it should be, and why. Called on the keeper's
  // thread; must not block and must outlive the keeper.
  using Warn = std::function<void(std::string)>;

  // `memory` and `clock` must outlive it.
  SnapshotKeeper(StateMemory& memory, int rank, OpenParts open_parts, Warn warn,
                 const Clock& clock);
  // Finishes the own part that it is at: other ranks may have none of an
  // earlier step any more. Gives the peer's up.
  ~SnapshotKeeper();
  SnapshotKeeper(const SnapshotKeeper&) = delete;
  SnapshotKeeper& operator=(const SnapshotKeeper&) = delete;

  // Where the next snapshots go to, too; an empty address: nowhere.
  void SetPeer(const std::string& address, const std::string& token)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until the last snapshot is with the peer, or its peer was given up.
  // The status of `Cancel`.
  absl::Status AwaitFree() ABSL_LOCKS_EXCLUDED(mutex_);

  // Begins to keep it. `part` has its checkpoint and plan. Training stood still
  // for it so long. Waits as `AwaitFree`, without regard to `Cancel`.
  void Keep(ShardReport part, EngineSnapshot snapshot, int64_t blocked_nanos)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Nobody waits any longer, and nothing more goes to a peer. Any thread.
  void Cancel(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Order {
    ShardReport part;
    EngineSnapshot snapshot;
    int64_t blocked_nanos = 0;
    int64_t start_nanos = 0;
  };
  struct Peer {
    std::string address;
    std::string token;
    // Null until it is used.
    std::shared_ptr<ShardStore> store;
    absl::Time retry_at = absl::InfinitePast();
    absl::Duration pause = absl::Seconds(1);
  };

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  void KeepOwn(const Order& order);
  void Replicate(const Order& order) ABSL_LOCKS_EXCLUDED(mutex_);
  // Null while none is to be used.
  std::shared_ptr<ShardStore> OpenPeer() ABSL_LOCKS_EXCLUDED(mutex_);
  void PeerFailed(const std::shared_ptr<ShardStore>& store, const Order& order,
                  const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status cancelled() ABSL_LOCKS_EXCLUDED(mutex_);

  StateMemory& memory_;
  const int rank_;
  const OpenParts open_parts_;
  const Warn warn_;
  const Clock& clock_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status cancelled_ ABSL_GUARDED_BY(mutex_);
  std::optional<Order> next_ ABSL_GUARDED_BY(mutex_);
  bool is_busy_ ABSL_GUARDED_BY(mutex_) = false;
  Peer peer_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_SNAPSHOT_KEEPER_H_
