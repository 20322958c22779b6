#ifndef PENSTOCK_CHECKPOINT_SHARDS_SHARD_STORE_H_
#define PENSTOCK_CHECKPOINT_SHARDS_SHARD_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// Where a stage server puts the files of checkpoints and reads them from, as it
// sees it: a shared folder, or a TransferService. It commits nothing.

// What has become of a file.
struct StoredFile {
  int64_t size_bytes = 0;
  // Of all of it, as the store has it.
  uint32_t crc32c = 0;
};

// One file on its way into the store. One thread. Destroying it before `Finish`
// gives the file up.
class ShardUpload {
 public:
  virtual ~ShardUpload() = default;

  // May wait until the store has kept up. Connections that break are made again
  // and go on where the store is.
  //   RESOURCE_EXHAUSTED  the store is full.
  //   UNAVAILABLE         it could not be reached again in time.
  //   ABORTED             the epoch is over there, or the upload was cancelled.
  virtual absl::Status Append(absl::string_view bytes) = 0;

  // Waits until the whole file is durable under its name.
  //   INVALID_ARGUMENT  another size than `Begin` said.
  virtual absl::StatusOr<StoredFile> Finish() = 0;
};

// Thread-safe.
class ShardStore {
 public:
  virtual ~ShardStore() = default;

  // `file` has no folder in it. A file that is there whole is replaced.
  //   INVALID_ARGUMENT  a name that leads elsewhere.
  virtual absl::StatusOr<std::unique_ptr<ShardUpload>> Begin(
      const CheckpointId& checkpoint, const std::string& file,
      int64_t size_bytes) = 0;

  // Exactly `size_bytes` from `offset_bytes` on, of a file of a committed
  // checkpoint.
  //   NOT_FOUND     no such checkpoint or file.
  //   OUT_OF_RANGE  the file ends before.
  //   DATA_LOSS     what came is not what was sent.
  virtual absl::StatusOr<std::string> Read(const CheckpointId& checkpoint,
                                           const std::string& file,
                                           int64_t offset_bytes,
                                           int64_t size_bytes) const = 0;

  // Every running and later call returns `why` soon. Any thread.
  virtual void Cancel(absl::Status why) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_SHARDS_SHARD_STORE_H_
