#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_MEMORY_SHARD_STORE_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_MEMORY_SHARD_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "checkpoint/shards/shard_store.h"

namespace penstock {

// For tests: files by "<job>/<step>/<name>", which outlive the stores that were
// made of it. Thread-safe.
struct ShardMemory {
  Mutex mutex;
  CondVar changed;
  std::map<std::string, std::string> files ABSL_GUARDED_BY(mutex);
  // What appending ends with, from the given append on.
  absl::Status append_status ABSL_GUARDED_BY(mutex);
  int64_t appends_before_status ABSL_GUARDED_BY(mutex) = 0;
  // Appends wait until they are cancelled, or this is taken back.
  bool is_stalled ABSL_GUARDED_BY(mutex) = false;
  int64_t num_appends ABSL_GUARDED_BY(mutex) = 0;
  int64_t num_reads ABSL_GUARDED_BY(mutex) = 0;
  // Added to what `Finish` says of the checksum.
  uint32_t checksum_error ABSL_GUARDED_BY(mutex) = 0;

  void Stall(bool stalled) {
    MutexLock lock(&mutex);
    is_stalled = stalled;
    changed.SignalAll();
  }
  void AwaitAppends(int64_t count) {
    MutexLock lock(&mutex);
    while (num_appends < count) changed.Wait(&mutex);
  }
};

std::unique_ptr<ShardStore> MakeMemoryShardStore(
    std::shared_ptr<ShardMemory> memory);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_MEMORY_SHARD_STORE_H_
