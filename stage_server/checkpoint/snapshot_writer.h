#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_SNAPSHOT_WRITER_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_SNAPSHOT_WRITER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/checkpoint.pb.h"
#include "proto/stage_service.pb.h"
#include "stage_server/engine/engine_state.h"

namespace penstock {

// Puts snapshots into a store while training goes on: one after the other, on a
// thread of its own. Thread-safe.
class SnapshotWriter {
 public:
  // Says that all files of a snapshot are durable, or why not. Called on the
  // writer's thread; must not block, and must outlive the writer.
  using Sink = std::function<void(ShardReport)>;

  // `store` must outlive it.
  SnapshotWriter(ShardStore& store, Sink sink);
  // Cancels the store and waits until the thread has ended.
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  // Begins to write it, in place of what is being written, if anything is: of
  // that no more is heard. Does not block.
  void Write(CheckpointId checkpoint, std::string plan_hash,
             EngineSnapshot snapshot) ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives up what is being written, if it is not of this step.
  void AbandonOthers(int64_t step) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Order {
    CheckpointId checkpoint;
    std::string plan_hash;
    EngineSnapshot snapshot;
    int64_t start_nanos = 0;
  };

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  ShardReport Run(const Order& order, int64_t number);
  absl::Status Interrupted(int64_t number) ABSL_LOCKS_EXCLUDED(mutex_);

  ShardStore& store_;
  const Sink sink_;

  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Order> next_ ABSL_GUARDED_BY(mutex_);
  // Orders so far; only the last one counts.
  int64_t num_orders_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the last one, until it has been given up.
  std::optional<int64_t> wanted_step_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_SNAPSHOT_WRITER_H_
