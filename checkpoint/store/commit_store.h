#ifndef PENSTOCK_CHECKPOINT_STORE_COMMIT_STORE_H_
#define PENSTOCK_CHECKPOINT_STORE_COMMIT_STORE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

enum class StoredCheckpointState {
  // Has COMMIT: complete, unless storage has since lost something.
  kCommitted,
  // Being written, or left by writers that are gone.
  kUncommitted,
  // Was committed; its deletion has begun and has to be finished.
  kDeleting,
};

struct StoredCheckpoint {
  CheckpointId id;
  StoredCheckpointState state = StoredCheckpointState::kUncommitted;
};

// A store of checkpoints as its one owner sees it, who alone commits and
// deletes (docs/checkpoints.md): a folder, or a process that has one. Shards
// come into it by others, by way of a ShardStore.
//
// Thread-safe, if no two threads change one checkpoint at a time. Every call
// blocks on storage; `Verify` reads all of it. One that is away gives
// UNAVAILABLE.
class CommitStore {
 public:
  virtual ~CommitStore() = default;

  // Ids of jobs that have a folder, sorted. Other names there are passed over.
  virtual absl::StatusOr<std::vector<std::string>> ListJobs() const = 0;

  // By step, then epoch; none of a job that is not known.
  virtual absl::StatusOr<std::vector<StoredCheckpoint>> List(
      const std::string& job_id) const = 0;

  // What is committed, after a look at COMMIT's checksum of it and at the
  // presence and size of each file. Not at their content: see `Verify`.
  //   NOT_FOUND      there is no such checkpoint, or it is not committed; names
  //                  the nearest step that is.
  //   DATA_LOSS      COMMIT, the manifest or a file is damaged or missing, or
  //                  the folder is another checkpoint's.
  //   UNIMPLEMENTED  a newer format version.
  virtual absl::StatusOr<CheckpointManifest> Read(
      const CheckpointId& id) const = 0;

  // Makes the checkpoint `manifest.id()`, all shards of which are there, a
  // committed one, durably. Sorts the manifest and sets its format version.
  // Doing it again with an equal manifest is OK.
  //   FAILED_PRECONDITION  a shard is not there or has another size.
  //   ALREADY_EXISTS       another manifest is committed there.
  //   INVALID_ARGUMENT     the manifest is not valid; nothing was done.
  // After any other error it may be committed or not: ask `List`.
  virtual absl::Status Commit(CheckpointManifest manifest) = 0;

  struct Progress {
    int64_t done_bytes = 0;
    int64_t total_bytes = 0;
  };
  // Reads a committed checkpoint and holds every file and tensor against the
  // checksums of its manifest, and the files' own headers against it. `report`
  // is called now and then on this thread; false ends the work with CANCELLED.
  // Errors as `Read`; DATA_LOSS names the file and the tensor.
  virtual absl::Status Verify(
      const CheckpointId& id,
      const std::function<bool(const Progress&)>& report) const = 0;

  // Removes it, committed or not. Cut short, it is none, and `CollectGarbage`
  // removes the rest. OK when there is none.
  virtual absl::Status Delete(const CheckpointId& id) = 0;

  // Removes what no one needs: checkpoints whose deletion had begun, and
  // uncommitted ones of epochs before `live_epoch`. Never a committed one.
  // Returns what it has removed.
  virtual absl::StatusOr<std::vector<CheckpointId>> CollectGarbage(
      const std::string& job_id, int64_t live_epoch) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_STORE_COMMIT_STORE_H_
