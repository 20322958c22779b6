#include "stage_server/checkpoint/snapshot_keeper.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "stage_server/checkpoint/part_record.h"
#include "stage_server/checkpoint/shard_files.h"

namespace penstock {
namespace {

constexpr absl::Duration kMaxPause = absl::Minutes(1);

absl::Status WritePart(ShardReport part, const EngineSnapshot& snapshot,
                       ShardStore& store,
                       const std::function<absl::Status()>& interrupted) {
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::vector<ShardFile> files,
      WriteFiles(snapshot, part.checkpoint(), store, interrupted));
  part.mutable_files()->Assign(files.begin(), files.end());
  return WritePartRecord(part, store);
}

}  // namespace

SnapshotKeeper::SnapshotKeeper(StateMemory& memory, int rank,
                               OpenParts open_parts, Warn warn,
                               const Clock& clock)
    : memory_(memory),
      rank_(rank),
      open_parts_(std::move(open_parts)),
      warn_(std::move(warn)),
      clock_(clock),
      thread_([this] { Loop(); }) {}

SnapshotKeeper::~SnapshotKeeper() {
  Cancel(absl::CancelledError("the epoch has been left"));
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void SnapshotKeeper::SetPeer(const std::string& address,
                             const std::string& token) {
  std::shared_ptr<ShardStore> old;
  MutexLock lock(&mutex_);
  if (peer_.address == address && peer_.token == token) return;
  old = std::exchange(peer_, Peer{address, token}).store;
  // What is on its way to it is of no more use.
  if (old != nullptr) {
    old->Cancel(absl::CancelledError("another server keeps the copies now"));
  }
}

absl::Status SnapshotKeeper::AwaitFree() {
  MutexLock lock(&mutex_);
  while (is_busy_ && cancelled_.ok()) changed_.Wait(&mutex_);
  return cancelled_;
}

void SnapshotKeeper::Keep(ShardReport part, EngineSnapshot snapshot,
                          int64_t blocked_nanos) {
  *part.mutable_state() = snapshot.state;
  Order order = {std::move(part), std::move(snapshot), blocked_nanos,
                 MonotonicNanos()};
  MutexLock lock(&mutex_);
  while (is_busy_) changed_.Wait(&mutex_);
  is_busy_ = true;
  next_ = std::move(order);
  changed_.SignalAll();
}

void SnapshotKeeper::Cancel(absl::Status why) {
  MutexLock lock(&mutex_);
  if (!cancelled_.ok()) return;
  if (peer_.store != nullptr) peer_.store->Cancel(why);
  cancelled_ = std::move(why);
  changed_.SignalAll();
}

absl::Status SnapshotKeeper::cancelled() {
  MutexLock lock(&mutex_);
  return cancelled_;
}

void SnapshotKeeper::Loop() {
  while (true) {
    std::optional<Order> order;
    {
      MutexLock lock(&mutex_);
      while (!next_.has_value() && !stopping_) changed_.Wait(&mutex_);
      if (!next_.has_value()) return;
      order = std::exchange(next_, std::nullopt);
    }
    KeepOwn(*order);
    Replicate(*order);
    // Before it counts as free: the next one then finds the memory free.
    order.reset();
    MutexLock lock(&mutex_);
    is_busy_ = false;
    changed_.SignalAll();
  }
}

void SnapshotKeeper::KeepOwn(const Order& order) {
  const absl::Status status =
      WritePart(order.part, order.snapshot, *memory_.StoreOf(rank_),
                [] { return absl::OkStatus(); });
  if (status.ok()) {
    memory_.OwnStored(order.part.checkpoint(), rank_, order.blocked_nanos);
  } else {
    warn_(absl::StrCat(
        "step ", order.part.checkpoint().step(),
        " is not kept in this server's memory: ", status.message()));
  }
}

void SnapshotKeeper::Replicate(const Order& order) {
  const std::shared_ptr<ShardStore> peer = OpenPeer();
  if (peer == nullptr) return;
  const absl::Status status = WritePart(order.part, order.snapshot, *peer,
                                        [this] { return cancelled(); });
  if (!status.ok()) {
    PeerFailed(peer, order, status);
    return;
  }
  memory_.OwnReplicated(MonotonicNanos() - order.start_nanos);
  MutexLock lock(&mutex_);
  peer_.pause = Peer().pause;
}

std::shared_ptr<ShardStore> SnapshotKeeper::OpenPeer() {
  MutexLock lock(&mutex_);
  if (!cancelled_.ok() || peer_.address.empty() ||
      clock_.Now() < peer_.retry_at) {
    return nullptr;
  }
  if (peer_.store == nullptr) {
    peer_.store = open_parts_(peer_.address, peer_.token, rank_);
  }
  return peer_.store;
}

void SnapshotKeeper::PeerFailed(const std::shared_ptr<ShardStore>& store,
                                const Order& order, const absl::Status& why) {
  absl::Duration pause;
  {
    MutexLock lock(&mutex_);
    // Nothing is to be said of a peer that was given up.
    if (!cancelled_.ok() || peer_.store != store) return;
    peer_.store.reset();
    pause = peer_.pause;
    peer_.retry_at = clock_.Now() + pause;
    peer_.pause = std::min(2 * pause, kMaxPause);
  }
  warn_(absl::StrCat("step ", order.part.checkpoint().step(),
                     " has no copy on another server, which is tried again in ",
                     absl::FormatDuration(pause), ": ", why.message()));
}

}  // namespace penstock
