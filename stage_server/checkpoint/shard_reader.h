#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_SHARD_READER_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_SHARD_READER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/checkpoint.pb.h"
#include "proto/stage_service.pb.h"
#include "stage_server/engine/engine_state.h"

namespace penstock {

// A rank's state out of the files of a checkpoint, as the manifest has them:
// reads the tensors that are asked for and no others, from whichever file has
// them, and compares each with its checksum. Layers go by their names, so it
// does not matter how the model was cut.
class ShardReader : public StateSource {
 public:
  // `store` must outlive it.
  ShardReader(RestorePoint point, const ShardStore& store)
      : point_(std::move(point)), store_(store) {}

  const TrainState& state() const override { return point_.state(); }
  bool weights_only() const override { return point_.weights_only(); }
  bool other_shape() const override { return point_.other_shape(); }

  //   DATA_LOSS  its text begins with kCorruptCheckpoint; of a state in memory
  //              with kLostMemory, whatever keeps it from being read,
  //              tensors that it lacks too: it is of the same model.
  //   else       as ShardStore::Read, with checkpoint, file and tensor.
  absl::Status Fill(absl::Span<const StateSlot> slots,
                    absl::Span<const std::string> layer_names) override;

 private:
  absl::Status FillOne(const ShardFile& file, const ShardTensor& tensor,
                       absl::Span<std::byte> into) const;

  const RestorePoint point_;
  const ShardStore& store_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_SHARD_READER_H_
