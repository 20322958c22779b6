#ifndef PENSTOCK_CHECKPOINT_TRANSFER_PART_KEEPER_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_PART_KEEPER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// Whose the files are that a TransferServer serves when they are no
// checkpoints, but ranks' parts of states in memory: each in a folder of its
// rank (RankPath), complete with its kPartFile. Thread-safe; does not block.
class PartKeeper {
 public:
  virtual ~PartKeeper() = default;

  // PERMISSION_DENIED unless who shows `token` may write and read the job's.
  virtual absl::Status CheckToken(absl::string_view token,
                                  const std::string& job_id) const = 0;
  // All files of a part have come; its sender does not know it yet.
  virtual void PartStored(const CheckpointId& checkpoint, int rank) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_PART_KEEPER_H_
