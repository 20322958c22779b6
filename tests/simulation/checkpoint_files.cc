#include "tests/simulation/checkpoint_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/layout/layout.h"

namespace penstock::simulation {

absl::Status CheckpointFiles::Put(const CheckpointId& id,
                                  const std::vector<ShardFile>& files) {
  if (const auto begun = begun_.find(id.job_id());
      begun != begun_.end() && id.epoch() < begun->second) {
    return absl::AbortedError("the epoch is over");
  }
  if (is_full_) return absl::ResourceExhaustedError("the disk is full");
  Folder& folder = folders_[KeyOf(id)];
  for (const ShardFile& file : files) {
    folder.sizes[file.name()] = file.size_bytes();
  }
  return absl::OkStatus();
}

absl::Status CheckpointFiles::Commit(const CheckpointManifest& manifest) {
  const CheckpointId& id = manifest.id();
  if (id.epoch() < begun_[id.job_id()]) {
    violation_ = absl::StrCat("the checkpoint of ", Describe(id), ", epoch ",
                              id.epoch(), ", is committed after epoch ",
                              begun_[id.job_id()], " has begun");
  }
  if (is_full_) return absl::ResourceExhaustedError("the disk is full");
  const auto found = folders_.find(KeyOf(id));
  if (found == folders_.end()) {
    return absl::FailedPreconditionError("no shard is there");
  }
  Folder& folder = found->second;
  for (const ShardFile& file : manifest.files()) {
    const auto size = folder.sizes.find(file.name());
    if (size == folder.sizes.end() || size->second != file.size_bytes()) {
      return absl::FailedPreconditionError(
          absl::StrCat(file.name(), " is not there"));
    }
  }
  if (folder.manifest == nullptr) {
    folder.manifest = std::make_shared<const CheckpointManifest>(manifest);
  }
  return absl::OkStatus();
}

absl::Status CheckpointFiles::Remove(const CheckpointId& id) {
  folders_.erase(KeyOf(id));
  return absl::OkStatus();
}

CheckpointFiles::ManifestOrStatus CheckpointFiles::Read(
    const CheckpointId& id) const {
  const auto found = folders_.find(KeyOf(id));
  if (found == folders_.end() || found->second.manifest == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("no checkpoint of ", Describe(id), " is there"));
  }
  if (found->second.manifest_is_damaged) {
    return absl::DataLossError(
        absl::StrCat("the manifest of ", Describe(id), " is damaged"));
  }
  return found->second.manifest;
}

void CheckpointFiles::BeginEpoch(const std::string& job_id, int64_t epoch) {
  begun_[job_id] = std::max(begun_[job_id], epoch);
  std::erase_if(folders_, [&](const auto& entry) {
    const auto& [key, folder] = entry;
    return std::get<0>(key) == job_id && std::get<2>(key) < epoch &&
           folder.manifest == nullptr;
  });
}

std::vector<CheckpointId> CheckpointFiles::List(
    const std::string& job_id) const {
  std::vector<CheckpointId> ids;
  for (const auto& [key, folder] : folders_) {
    if (std::get<0>(key) == job_id && folder.manifest != nullptr) {
      ids.push_back(folder.manifest->id());
    }
  }
  return ids;
}

bool CheckpointFiles::IsWhole(const CheckpointId& id) const {
  const auto found = folders_.find(KeyOf(id));
  return found != folders_.end() && found->second.manifest != nullptr &&
         !found->second.is_damaged;
}

bool CheckpointFiles::IsCommitted(const CheckpointId& id) const {
  const auto found = folders_.find(KeyOf(id));
  return found != folders_.end() && found->second.manifest != nullptr;
}

void CheckpointFiles::Damage(const std::string& job_id) {
  const std::vector<CheckpointId> ids = List(job_id);
  if (ids.empty()) return;
  Folder& folder = folders_.at(KeyOf(ids.back()));
  folder.is_damaged = true;
  folder.manifest_is_damaged = ids.back().step() % 2 == 0;
}

}  // namespace penstock::simulation
