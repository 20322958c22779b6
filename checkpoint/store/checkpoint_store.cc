#include "checkpoint/store/checkpoint_store.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/sha256.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"

namespace penstock {
namespace {

constexpr char kProbeFile[] = ".penstock-probe";
constexpr int64_t kMaxCommitBytes = 1024;

std::string Inside(const std::string& folder, absl::string_view name) {
  return absl::StrCat(folder, "/", name);
}

// Nothing when there is nothing of that name.
absl::StatusOr<std::optional<PathKind>> KindIfThere(const FileSystem& files,
                                                    const std::string& path) {
  const absl::StatusOr<PathKind> kind = files.KindOf(path);
  if (kind.ok()) return std::optional<PathKind>(*kind);
  if (absl::IsNotFound(kind.status())) return std::optional<PathKind>();
  return kind.status();
}

// A file of a checkpoint that has to be there.
//   DATA_LOSS  it is not, or is no file.
absl::StatusOr<std::unique_ptr<ReadableFile>> OpenPart(
    const FileSystem& files, const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::optional<PathKind> kind,
                            KindIfThere(files, path));
  if (!kind.has_value()) {
    return absl::DataLossError(absl::StrCat(path, " is missing"));
  }
  if (*kind != PathKind::kFile) {
    return absl::DataLossError(
        absl::StrCat(path, " is no file; links are not followed"));
  }
  return files.Open(path);
}

absl::StatusOr<std::string> ReadPart(const FileSystem& files,
                                     const std::string& path,
                                     int64_t max_bytes) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                            OpenPart(files, path));
  if (file->size_bytes() > max_bytes) {
    return absl::DataLossError(absl::StrCat(path, " has ", file->size_bytes(),
                                            " bytes, wanted at most ",
                                            max_bytes));
  }
  return file->Read(0, file->size_bytes());
}

absl::Status WriteProbe(FileSystem& files, const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> probe,
                            files.Create(path));
  PENSTOCK_RETURN_IF_ERROR(probe->Append("x"));
  PENSTOCK_RETURN_IF_ERROR(probe->Sync());
  return files.Remove(path);
}

// Of the folder as a whole, with what to do.
absl::Status OfRoot(const absl::Status& status, const std::string& root) {
  const std::string context = absl::StrCat("folder of checkpoints ", root);
  std::string advice;
  if (absl::IsPermissionDenied(status)) {
    advice = "; it must be one that this user may write to";
  } else if (absl::IsResourceExhausted(status)) {
    advice = "; make room, or name a folder on another disk";
  }
  return WithMessage(status,
                     absl::StrCat(context, ": ", status.message(), advice));
}

bool SameId(const CheckpointId& a, const CheckpointId& b) {
  return a.job_id() == b.job_id() && a.step() == b.step() &&
         a.epoch() == b.epoch();
}

}  // namespace

absl::StatusOr<CheckpointStore> CheckpointStore::Open(FileSystem& files,
                                                      std::string root) {
  if (const absl::Status made = files.MakeFolder(root); !made.ok()) {
    const auto kind = files.KindOf(root);
    if (kind.ok() && *kind == PathKind::kFile) {
      return absl::FailedPreconditionError(
          absl::StrCat("folder of checkpoints ", root,
                       ": it is a file; name a folder"));
    }
    return OfRoot(made, root);
  }
  if (const absl::Status status = files.List(root).status(); !status.ok()) {
    return OfRoot(status, root);
  }
  if (const absl::Status status = WriteProbe(files, Inside(root, kProbeFile));
      !status.ok()) {
    return OfRoot(status, root);
  }
  return CheckpointStore(files, std::move(root));
}

absl::Status CheckpointStore::CheckFolder(const std::string& path) const {
  PENSTOCK_ASSIGN_OR_RETURN(const PathKind kind, files_->KindOf(path));
  if (kind == PathKind::kFolder) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, " is no folder; links are not followed"));
}

absl::StatusOr<std::vector<std::string>> CheckpointStore::ListJobs() const {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            files_->List(root_));
  std::vector<std::string> jobs;
  for (const std::string& name : names) {
    if (CheckJobId(name).ok() && CheckFolder(JobPath(root_, name)).ok()) {
      jobs.push_back(name);
    }
  }
  return jobs;
}

absl::StatusOr<std::vector<StoredCheckpoint>> CheckpointStore::List(
    const std::string& job_id) const {
  PENSTOCK_RETURN_IF_ERROR(CheckJobId(job_id));
  const std::string folder = JobPath(root_, job_id);
  const absl::Status is_folder = CheckFolder(folder);
  if (absl::IsNotFound(is_folder)) return std::vector<StoredCheckpoint>();
  PENSTOCK_RETURN_IF_ERROR(is_folder);
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            files_->List(folder));
  std::vector<StoredCheckpoint> found;
  for (const std::string& name : names) {
    const std::optional<StepAndEpoch> parsed = ParseCheckpointFolder(name);
    if (!parsed.has_value()) continue;
    StoredCheckpoint checkpoint;
    checkpoint.id.set_job_id(job_id);
    checkpoint.id.set_step(parsed->step);
    checkpoint.id.set_epoch(parsed->epoch);
    const absl::StatusOr<StoredCheckpointState> state = StateOf(checkpoint.id);
    // A link, or gone since.
    if (absl::IsDataLoss(state.status()) || absl::IsNotFound(state.status())) {
      continue;
    }
    PENSTOCK_RETURN_IF_ERROR(state.status());
    checkpoint.state = *state;
    found.push_back(std::move(checkpoint));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::make_pair(a.id.step(), a.id.epoch()) <
           std::make_pair(b.id.step(), b.id.epoch());
  });
  return found;
}

absl::StatusOr<StoredCheckpointState> CheckpointStore::StateOf(
    const CheckpointId& id) const {
  const std::string folder = CheckpointPath(root_, id);
  PENSTOCK_RETURN_IF_ERROR(CheckFolder(folder));
  PENSTOCK_ASSIGN_OR_RETURN(const auto commit,
                            KindIfThere(*files_, Inside(folder, kCommitFile)));
  if (commit.has_value()) return StoredCheckpointState::kCommitted;
  PENSTOCK_ASSIGN_OR_RETURN(
      const auto deleting, KindIfThere(*files_, Inside(folder, kDeletingFile)));
  return deleting.has_value() ? StoredCheckpointState::kDeleting
                              : StoredCheckpointState::kUncommitted;
}

absl::Status CheckpointStore::NoSuchCheckpoint(const CheckpointId& id) const {
  std::string text =
      absl::StrCat("there is no committed checkpoint of ", Describe(id));
  const absl::StatusOr<std::vector<StoredCheckpoint>> found = List(id.job_id());
  std::optional<CheckpointId> nearest;
  if (found.ok()) {
    for (const StoredCheckpoint& checkpoint : *found) {
      if (checkpoint.state != StoredCheckpointState::kCommitted) continue;
      const auto distance = [&](const CheckpointId& other) {
        return std::max(id.step(), other.step()) -
               std::min(id.step(), other.step());
      };
      if (!nearest.has_value() ||
          distance(checkpoint.id) <= distance(*nearest)) {
        nearest = checkpoint.id;
      }
    }
  }
  if (nearest.has_value()) {
    absl::StrAppend(&text, "; the nearest is of step ", nearest->step(),
                    ", epoch ", nearest->epoch());
  } else {
    absl::StrAppend(&text, ", nor any other of the job");
  }
  return absl::NotFoundError(text);
}

absl::Status CheckpointStore::CheckShards(
    const CheckpointManifest& manifest) const {
  const std::string folder = CheckpointPath(root_, manifest.id());
  for (const ShardFile& shard : manifest.files()) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                              OpenPart(*files_, Inside(folder, shard.name())));
    if (file->size_bytes() != shard.size_bytes()) {
      return absl::DataLossError(absl::StrCat(
          Inside(folder, shard.name()), " has ", file->size_bytes(),
          " bytes, wanted ", shard.size_bytes()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckpointManifest> CheckpointStore::Read(
    const CheckpointId& id) const {
  PENSTOCK_RETURN_IF_ERROR(CheckCheckpointId(id));
  if (const absl::Status job = CheckFolder(JobPath(root_, id.job_id()));
      !job.ok()) {
    return absl::IsNotFound(job) ? NoSuchCheckpoint(id) : job;
  }
  const absl::StatusOr<StoredCheckpointState> state = StateOf(id);
  if (absl::IsNotFound(state.status()) ||
      (state.ok() && *state != StoredCheckpointState::kCommitted)) {
    return NoSuchCheckpoint(id);
  }
  PENSTOCK_RETURN_IF_ERROR(state.status());
  const std::string folder = CheckpointPath(root_, id);
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::string commit,
      ReadPart(*files_, Inside(folder, kCommitFile), kMaxCommitBytes));
  const std::string manifest_path = Inside(folder, kManifestFile);
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::string json,
      ReadPart(*files_, manifest_path, kMaxManifestBytes));
  if (absl::StripSuffix(commit, "\n") != Sha256HexOf(json)) {
    return absl::DataLossError(
        absl::StrCat(manifest_path, " is not what was committed: its sha256 ",
                     "is ", Sha256HexOf(json), ", which ",
                     Inside(folder, kCommitFile), " does not say"));
  }
  absl::StatusOr<CheckpointManifest> manifest = ParseManifest(json);
  if (!manifest.ok()) return WithContext(manifest.status(), folder);
  if (!SameId(manifest->id(), id)) {
    return absl::DataLossError(absl::StrCat(folder, " holds the checkpoint of ",
                                            Describe(manifest->id())));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckShards(*manifest));
  return manifest;
}

absl::Status CheckpointStore::Commit(CheckpointManifest manifest) {
  manifest.set_format_version(kCheckpointFormatVersion);
  SortFiles(manifest);
  const absl::StatusOr<std::string> json = EncodeManifest(manifest);
  if (!json.ok()) return absl::InvalidArgumentError(json.status().message());
  const std::string seal = absl::StrCat(Sha256HexOf(*json), "\n");
  const CheckpointId& id = manifest.id();
  PENSTOCK_ASSIGN_OR_RETURN(const bool is_committed, CheckOpen(id, seal));
  // That it is durable is known only now, if an earlier call failed.
  if (is_committed) return files_->SyncFolder(CheckpointPath(root_, id));
  if (const absl::Status shards = CheckShards(manifest); !shards.ok()) {
    return absl::IsDataLoss(shards)
               ? absl::FailedPreconditionError(shards.message())
               : shards;
  }
  PENSTOCK_RETURN_IF_ERROR(files_->SyncFolder(root_));
  PENSTOCK_RETURN_IF_ERROR(files_->SyncFolder(JobPath(root_, id.job_id())));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string state,
                            EncodeTrainState(manifest.state()));
  const std::pair<const char*, std::string> in_order[] = {
      {kWeightIndexFile, EncodeWeightIndex(manifest)},
      {kTrainStateFile, state},
      {kManifestFile, *json},
      {kCommitFile, seal}};
  for (const auto& [name, content] : in_order) {
    PENSTOCK_RETURN_IF_ERROR(
        PublishFile(*files_, Inside(CheckpointPath(root_, id), name), content));
  }
  // For people; nothing reads it, so nothing is lost without it.
  PublishFile(*files_, Inside(JobPath(root_, id.job_id()), kLatestFile),
              absl::StrCat(CheckpointFolder(id.step(), id.epoch()), "\n"))
      .IgnoreError();
  return absl::OkStatus();
}

absl::StatusOr<bool> CheckpointStore::CheckOpen(const CheckpointId& id,
                                                absl::string_view seal) const {
  const absl::StatusOr<StoredCheckpointState> state = StateOf(id);
  if (absl::IsNotFound(state.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("no file has come of the checkpoint of ", Describe(id)));
  }
  PENSTOCK_RETURN_IF_ERROR(state.status());
  if (*state == StoredCheckpointState::kDeleting) {
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint of ", Describe(id), " is being deleted"));
  }
  if (*state == StoredCheckpointState::kUncommitted) return false;
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::string present,
      ReadPart(*files_, Inside(CheckpointPath(root_, id), kCommitFile),
               kMaxCommitBytes));
  if (present == seal) return true;
  return absl::AlreadyExistsError(
      absl::StrCat("the checkpoint of ", Describe(id),
                   " is committed with another manifest"));
}

absl::Status CheckpointStore::Delete(const CheckpointId& id) {
  PENSTOCK_RETURN_IF_ERROR(CheckCheckpointId(id));
  const absl::Status job = CheckFolder(JobPath(root_, id.job_id()));
  if (absl::IsNotFound(job)) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(job);
  const absl::StatusOr<StoredCheckpointState> state = StateOf(id);
  if (absl::IsNotFound(state.status())) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(state.status());
  const std::string folder = CheckpointPath(root_, id);
  if (*state == StoredCheckpointState::kCommitted) {
    PENSTOCK_RETURN_IF_ERROR(files_->Rename(Inside(folder, kCommitFile),
                                            Inside(folder, kDeletingFile)));
  }
  // The name may be of a call that failed before this.
  PENSTOCK_RETURN_IF_ERROR(files_->SyncFolder(folder));
  return RemoveFolder(folder);
}

absl::Status CheckpointStore::RemoveFolder(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            files_->List(path));
  for (const std::string& name : names) {
    // It says what the rest is, so it goes last.
    if (name == kDeletingFile) continue;
    PENSTOCK_RETURN_IF_ERROR(files_->Remove(Inside(path, name)));
  }
  PENSTOCK_RETURN_IF_ERROR(files_->Remove(Inside(path, kDeletingFile)));
  // So that a folder of that name made later is empty.
  PENSTOCK_RETURN_IF_ERROR(files_->SyncFolder(path));
  PENSTOCK_RETURN_IF_ERROR(files_->Remove(path));
  return files_->SyncFolder(FolderOf(path));
}

absl::StatusOr<std::vector<CheckpointId>> CheckpointStore::CollectGarbage(
    const std::string& job_id, int64_t live_epoch) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> found,
                            List(job_id));
  std::vector<CheckpointId> removed;
  for (const StoredCheckpoint& checkpoint : found) {
    const bool is_garbage =
        checkpoint.state == StoredCheckpointState::kDeleting ||
        (checkpoint.state == StoredCheckpointState::kUncommitted &&
         checkpoint.id.epoch() < live_epoch);
    if (!is_garbage) continue;
    PENSTOCK_RETURN_IF_ERROR(Delete(checkpoint.id));
    removed.push_back(checkpoint.id);
  }
  return removed;
}

}  // namespace penstock
