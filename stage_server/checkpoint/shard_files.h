#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_SHARD_FILES_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_SHARD_FILES_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/checkpoint.pb.h"
#include "stage_server/engine/engine_state.h"

namespace penstock {

// One file of a snapshot: a safetensors header, then the tensors' bytes.
struct SnapshotFile {
  // All of it but the checksums, which are made while it is written.
  ShardFile file;
  std::string header;
  // Within the snapshot.
  absl::Span<const std::byte> data;
};

// The files of a snapshot, one for each layer and kind, in its order. They
// point into it. Pure.
//   INVALID_ARGUMENT  as EncodeHeader.
absl::StatusOr<std::vector<SnapshotFile>> FilesOf(
    const EngineSnapshot& snapshot);

// Puts one file into the store; what is stored then, with all checksums.
// `interrupted` is asked between pieces of a few MiB; what it says but OK ends
// the upload and is returned.
//   DATA_LOSS  the store's checksum is another.
//   else as ShardStore::Begin and ShardUpload.
absl::StatusOr<ShardFile> WriteFile(
    const SnapshotFile& file, const CheckpointId& checkpoint, ShardStore& store,
    const std::function<absl::Status()>& interrupted);

// Puts all files of a snapshot into the store; what is stored then. Errors as
// FilesOf and WriteFile.
absl::StatusOr<std::vector<ShardFile>> WriteFiles(
    const EngineSnapshot& snapshot, const CheckpointId& checkpoint,
    ShardStore& store, const std::function<absl::Status()>& interrupted);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_SHARD_FILES_H_
