#ifndef PENSTOCK_COORDINATOR_SERVICE_CHECKPOINT_PORT_H_
#define PENSTOCK_COORDINATOR_SERVICE_CHECKPOINT_PORT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/effects.h"
#include "coordinator/core/event.h"
#include "coordinator/core/state.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// The checkpoint store as the coordinator uses it. `Do`, `Read` and `Verify`
// return at once; the work is done on threads of the port's own, which call
// back. Thread-safe. Destroying it waits for what is under way and drops the
// rest, without a call.
class CheckpointPort {
 public:
  using ManifestOrStatus =
      absl::StatusOr<std::shared_ptr<const CheckpointManifest>>;

  virtual ~CheckpointPort() = default;

  // What stage servers and their tokens need.
  virtual CheckpointStoreSettings settings() const = 0;

  // Ids of the job's complete checkpoints. Blocks.
  virtual absl::StatusOr<std::vector<CheckpointId>> List(
      const std::string& job_id) = 0;
  // The manifest of one of them, compared with its COMMIT. Blocks.
  //   NOT_FOUND, DATA_LOSS, UNIMPLEMENTED  as CheckpointStore::Read.
  virtual ManifestOrStatus ReadNow(const CheckpointId& id) = 0;

  // Removes what imports that ended early have left of jobs that are not among
  // these; nothing that is complete, and nothing in a store that others may use
  // too. Returns at once.
  virtual void RemoveStrays(std::set<std::string> known_jobs) {}

  // In the order of the calls. `done` gets the event that effects.h promises.
  virtual void Do(CheckpointWork work,
                  std::function<void(ClusterEvent)> done) = 0;

  virtual void Read(const CheckpointId& id,
                    std::function<void(ManifestOrStatus)> done) = 0;

  // Reads all of it. `report` is called now and then; false ends the work with
  // CANCELLED.
  virtual void Verify(
      const CheckpointId& id,
      std::function<bool(int64_t done_bytes, int64_t total_bytes)> report,
      std::function<void(absl::Status)> done) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_CHECKPOINT_PORT_H_
