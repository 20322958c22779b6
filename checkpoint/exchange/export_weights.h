#ifndef PENSTOCK_CHECKPOINT_EXCHANGE_EXPORT_WEIGHTS_H_
#define PENSTOCK_CHECKPOINT_EXCHANGE_EXPORT_WEIGHTS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// Copies the weights of a committed checkpoint out of its store into a folder
// that the Python packages `safetensors` and `transformers` read as it is: the
// files of kind WEIGHTS and, last, model.safetensors.index.json. Makes the
// folder. Checks each file's checksum on the way; `report`, if given, is called
// now and then and ends the work with CANCELLED by answering false.
//   FAILED_PRECONDITION  there is something in the folder already.
//   DATA_LOSS            a file is not what the manifest says; names it. What
//                        has been copied so far stays, without an index.
// Else the errors of `ShardStore::Read` and of `files`.
absl::Status ExportWeights(
    const ShardStore& store, const CheckpointManifest& manifest,
    FileSystem& files, const std::string& folder,
    const std::function<bool(int64_t done_bytes, int64_t total_bytes)>& report);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_EXCHANGE_EXPORT_WEIGHTS_H_
