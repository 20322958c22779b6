#ifndef PENSTOCK_CHECKPOINT_SHARDS_COMMITTED_FILE_H_
#define PENSTOCK_CHECKPOINT_SHARDS_COMMITTED_FILE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/layout/layout.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// Opens a file of a checkpoint that is complete, which `marker` in its folder
// says: a shard, or one of those beside them (layout.h). Follows no links.
//   INVALID_ARGUMENT  the id or the name is none.
//   NOT_FOUND         there is no such checkpoint or file, or it is not
//                     committed.
//   DATA_LOSS         what has the name is no file.
absl::StatusOr<std::unique_ptr<ReadableFile>> OpenCommitted(
    const FileSystem& files, const std::string& root,
    const CheckpointId& checkpoint, const std::string& file,
    const char* marker = kCommitFile);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_SHARDS_COMMITTED_FILE_H_
