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
#include "checkpoint/store/commit_store.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// A folder of checkpoints, in the layout of docs/checkpoints.md, of which this
// process is the one owner. Shards come into it by a TransferServer or a
// DirectoryShardStore. Paths that are links, of jobs, checkpoints and files,
// are not followed: to this class they are damage.
class CheckpointStore : public CommitStore {
 public:
  // Makes the folder `root` if need be and tries whether it can be written to.
  //   PERMISSION_DENIED    read-only, or another user's.
  //   RESOURCE_EXHAUSTED   the disk is full.
  //   FAILED_PRECONDITION  it is no folder.
  // `files` must outlive this.
  static absl::StatusOr<CheckpointStore> Open(FileSystem& files,
                                              std::string root);

  const std::string& root() const { return root_; }

  absl::StatusOr<std::vector<std::string>> ListJobs() const override;
  absl::StatusOr<std::vector<StoredCheckpoint>> List(
      const std::string& job_id) const override;
  absl::StatusOr<CheckpointManifest> Read(
      const CheckpointId& id) const override;
  // Writes model.safetensors.index.json, train_state.json, manifest.json and,
  // last, COMMIT; each is whole and durable before the next is begun.
  absl::Status Commit(CheckpointManifest manifest) override;
  absl::Status Verify(
      const CheckpointId& id,
      const std::function<bool(const Progress&)>& report) const override;
  // Begins by taking COMMIT away for good, so that a deletion that is cut short
  // is never taken for a checkpoint; `CollectGarbage` finishes it.
  absl::Status Delete(const CheckpointId& id) override;
  absl::StatusOr<std::vector<CheckpointId>> CollectGarbage(
      const std::string& job_id, int64_t live_epoch) override;

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
