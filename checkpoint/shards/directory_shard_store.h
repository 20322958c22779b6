#ifndef PENSTOCK_CHECKPOINT_SHARDS_DIRECTORY_SHARD_STORE_H_
#define PENSTOCK_CHECKPOINT_SHARDS_DIRECTORY_SHARD_STORE_H_

#include <memory>
#include <string>

#include "checkpoint/files/file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/shards/shard_store.h"

namespace penstock {

// Shards straight in a folder that this machine can see, in the layout of a
// CheckpointStore: `*.part`, synced, renamed, folder synced. What has `marker`
// in its folder may be read. `root` must be there. `files` must outlive it, and
// it its uploads.
std::unique_ptr<ShardStore> MakeDirectoryShardStore(
    FileSystem& files, const std::string& root,
    const char* marker = kCommitFile);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_SHARDS_DIRECTORY_SHARD_STORE_H_
