#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_MEMORY_SOURCE_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_MEMORY_SOURCE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// A state that is in stage servers' memory, as a checkpoint: finds out what its
// parts consist of, and reads each file where its part is. Nothing can be
// stored in it. Thread-safe once it is open, `Cancel` at any time.
class MemorySource : public ShardStore {
 public:
  using OpenParts = std::function<std::unique_ptr<ShardStore>(
      const std::string& address, const std::string& token, int rank)>;

  // Connects to nothing. Requires: `point` has a memory.
  MemorySource(RestorePoint point, const OpenParts& open_parts);

  // Reads what the parts consist of. Call once, before all but `Cancel`.
  //   DATA_LOSS  a part is not there, or they do not go together; begins with
  //              kLostMemory.
  //   the status of `Cancel`.
  absl::Status Open();

  // The restore point with all files and the state of all parts.
  const RestorePoint& point() const { return point_; }

  absl::StatusOr<std::unique_ptr<ShardUpload>> Begin(
      const CheckpointId& checkpoint, const std::string& file,
      int64_t size_bytes) override;
  absl::StatusOr<std::string> Read(const CheckpointId& checkpoint,
                                   const std::string& file,
                                   int64_t offset_bytes,
                                   int64_t size_bytes) const override;
  void Cancel(absl::Status why) override;

 private:
  absl::Status Add(const ShardReport& part, size_t index);

  RestorePoint point_;
  // Of the parts, in their order.
  std::vector<std::unique_ptr<ShardStore>> stores_;
  std::map<std::string, const ShardStore*> store_of_file_;
  std::string plan_hash_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_MEMORY_SOURCE_H_
