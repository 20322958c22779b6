#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_PART_RECORD_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_PART_RECORD_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// A part's kPartFile: what the part consists of, as a ShardReport, with its
// size in eight bytes before it, the lowest first.

// Put last, so that the part is complete when it is there. Errors as
// ShardStore::Begin and ShardUpload.
absl::Status WritePartRecord(const ShardReport& part, ShardStore& store);

// DATA_LOSS if it is none, or of another checkpoint; else as ShardStore::Read.
absl::StatusOr<ShardReport> ReadPartRecord(const ShardStore& store,
                                           const CheckpointId& checkpoint);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_PART_RECORD_H_
