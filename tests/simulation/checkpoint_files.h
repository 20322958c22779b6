#ifndef PENSTOCK_TESTS_SIMULATION_CHECKPOINT_FILES_H_
#define PENSTOCK_TESTS_SIMULATION_CHECKPOINT_FILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"

namespace penstock::simulation {

// A checkpoint store (checkpoint/store/commit_store.h) without files. Outlives
// coordinators. Also sees what must never be: a commit by an epoch after a
// later one has begun.
class CheckpointFiles {
 public:
  using ManifestOrStatus =
      absl::StatusOr<std::shared_ptr<const CheckpointManifest>>;

  // A rank's files are there, all or none.
  //   ABORTED             its epoch is over.
  //   RESOURCE_EXHAUSTED  the disk is full.
  absl::Status Put(const CheckpointId& id, const std::vector<ShardFile>& files);

  // As the store's one owner asks, with the same errors.
  absl::Status Commit(const CheckpointManifest& manifest);
  absl::Status Remove(const CheckpointId& id);
  ManifestOrStatus Read(const CheckpointId& id) const;
  void BeginEpoch(const std::string& job_id, int64_t epoch);
  // Those that are committed.
  std::vector<CheckpointId> List(const std::string& job_id) const;

  // Whether the files of a committed one can be read, and are what they were.
  bool IsWhole(const CheckpointId& id) const;
  bool IsCommitted(const CheckpointId& id) const;

  // Flips a bit in the newest one of a job: of every second one in its
  // manifest, else in a shard, which only who reads it whole can see.
  void Damage(const std::string& job_id);
  void SetFull(bool is_full) { is_full_ = is_full; }

  const std::string& violation() const { return violation_; }

 private:
  using Key = std::tuple<std::string, int64_t, int64_t>;  // job, step, epoch
  struct Folder {
    // By name.
    std::map<std::string, int64_t> sizes;
    // Null until it is committed.
    std::shared_ptr<const CheckpointManifest> manifest;
    bool is_damaged = false;
    bool manifest_is_damaged = false;
  };

  static Key KeyOf(const CheckpointId& id) {
    return {id.job_id(), id.step(), id.epoch()};
  }

  std::map<Key, Folder> folders_;
  std::map<std::string, int64_t> begun_;
  bool is_full_ = false;
  std::string violation_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_CHECKPOINT_FILES_H_
