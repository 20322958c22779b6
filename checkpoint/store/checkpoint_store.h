#ifndef PENSTOCK_CHECKPOINT_STORE_CHECKPOINT_STORE_H_
#define PENSTOCK_CHECKPOINT_STORE_CHECKPOINT_STORE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/files/file_system.h"
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

// The folder of checkpoints as its one owner sees it, who alone commits and
// deletes (docs/checkpoints.md). Shards come into it by others: by a
// TransferServer or a DirectoryShardStore.
//
// Thread-safe, if no two threads change one checkpoint at a time. Every call
// blocks on storage; `Verify` reads all of it. Paths that are links, of jobs,
// checkpoints and files, are not followed: to this class they are damage.
class CheckpointStore {
 public:
  // Makes the folder `root` if need be and tries whether it can be written to.
  //   PERMISSION_DENIED    read-only, or another user's.
  //   RESOURCE_EXHAUSTED   the disk is full.
  //   FAILED_PRECONDITION  it is no folder.
  // `files` must outlive this.
  static absl::StatusOr<CheckpointStore> Open(FileSystem& files,
                                              std::string root);

  const std::string& root() const { return root_; }

  // Ids of jobs that have a folder, sorted. Other names there are passed over.
  absl::StatusOr<std::vector<std::string>> ListJobs() const;

  // By step, then epoch; none of a job that is not known.
  absl::StatusOr<std::vector<StoredCheckpoint>> List(
      const std::string& job_id) const;

  // What is committed, after a look at COMMIT's checksum of it and at the
  // presence and size of each file. Not at their content: see `Verify`.
  //   NOT_FOUND      there is no such checkpoint, or it is not committed; names
  //                  the nearest step that is.
  //   DATA_LOSS      COMMIT, the manifest or a file is damaged or missing, or
  //                  the folder is another checkpoint's.
  //   UNIMPLEMENTED  a newer format version.
  absl::StatusOr<CheckpointManifest> Read(const CheckpointId& id) const;

  // Makes the checkpoint `manifest.id()`, all shards of which are there, a
  // committed one. Writes model.safetensors.index.json, train_state.json,
  // manifest.json and, last, COMMIT; each is whole and durable before the next
  // is begun. Sorts the manifest and sets its format version. Doing it again
  // with an equal manifest is OK.
  //   FAILED_PRECONDITION  a shard is not there or has another size.
  //   ALREADY_EXISTS       another manifest is committed there.
  //   INVALID_ARGUMENT     the manifest is not valid; nothing was done.
  // After any other error it may be committed or not: ask `List`.
  absl::Status Commit(CheckpointManifest manifest);

  struct Progress {
    int64_t done_bytes = 0;
    int64_t total_bytes = 0;
  };
  // Reads a committed checkpoint and holds every file and tensor against the
  // checksums of its manifest, and the files' own headers against it. `report`
  // is called now and then on this thread; false ends the work with CANCELLED.
  // Errors as `Read`; DATA_LOSS names the file and the tensor.
  absl::Status Verify(const CheckpointId& id,
                      const std::function<bool(const Progress&)>& report) const;

  // Removes it, committed or not. Begins by taking COMMIT away for good, so
  // that a deletion that is cut short is never taken for a checkpoint;
  // `CollectGarbage` finishes it. OK when there is none.
  absl::Status Delete(const CheckpointId& id);

  // Removes what no one needs: checkpoints whose deletion had begun, and
  // uncommitted ones of epochs before `live_epoch`. Never a committed one.
  // Returns what it has removed.
  absl::StatusOr<std::vector<CheckpointId>> CollectGarbage(
      const std::string& job_id, int64_t live_epoch);

 private:
  CheckpointStore(FileSystem& files, std::string root)
      : files_(&files), root_(std::move(root)) {}

  // NOT_FOUND unless it is a folder and no link.
  absl::Status CheckFolder(const std::string& path) const;
  absl::StatusOr<StoredCheckpointState> StateOf(const CheckpointId& id) const;
  absl::Status NoSuchCheckpoint(const CheckpointId& id) const;
  // Whether it is committed, with this content of COMMIT; an error unless it is
  // or can be.
  absl::StatusOr<bool> CheckOpen(const CheckpointId& id,
                                 absl::string_view seal) const;
  absl::Status CheckShards(const CheckpointManifest& manifest) const;
  // Of a folder that has no COMMIT.
  absl::Status RemoveFolder(const std::string& path);

  FileSystem* files_;
  std::string root_;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_STORE_CHECKPOINT_STORE_H_
