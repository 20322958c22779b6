#include "checkpoint/upload/part_file.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"

namespace penstock {
namespace {

// What a checksum is read in.
constexpr int64_t kPieceBytes = int64_t{4} << 20;

std::string PartName(const std::string& folder, const std::string& file) {
  return absl::StrCat(folder, "/", file, kPartSuffix);
}

absl::Status CheckNames(const CheckpointId& checkpoint,
                        const std::string& file) {
  PENSTOCK_RETURN_IF_ERROR(CheckCheckpointId(checkpoint));
  return CheckStoredName(file);
}

// -1 of one that is not there.
absl::StatusOr<int64_t> SizeOf(const FileSystem& files,
                               const std::string& path) {
  const absl::StatusOr<PathKind> kind = files.KindOf(path);
  if (absl::IsNotFound(kind.status())) return -1;
  PENSTOCK_RETURN_IF_ERROR(kind.status());
  if (*kind != PathKind::kFile) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is no file; links are not followed"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                            files.Open(path));
  return file->size_bytes();
}

absl::StatusOr<bool> IsThere(const FileSystem& files, const std::string& path) {
  const absl::StatusOr<PathKind> kind = files.KindOf(path);
  if (absl::IsNotFound(kind.status())) return false;
  PENSTOCK_RETURN_IF_ERROR(kind.status());
  return true;
}

absl::Status CheckIsFolder(const FileSystem& files, const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const PathKind kind, files.KindOf(path));
  if (kind == PathKind::kFolder) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is no folder; links are not followed"));
}

// Makes the folders that are missing, durably, and looks at those that are not.
absl::Status PrepareFolder(FileSystem& files, const std::string& root,
                           const CheckpointId& checkpoint) {
  const std::string job = JobPath(root, checkpoint.job_id());
  const std::string folder = CheckpointPath(root, checkpoint);
  for (const std::string& path : {job, folder}) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool is_there, IsThere(files, path));
    if (!is_there) {
      PENSTOCK_RETURN_IF_ERROR(files.MakeFolder(path));
      PENSTOCK_RETURN_IF_ERROR(files.SyncFolder(FolderOf(path)));
    }
    PENSTOCK_RETURN_IF_ERROR(CheckIsFolder(files, path));
  }
  for (const char* name : {kCommitFile, kDeletingFile}) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool is_there,
                              IsThere(files, absl::StrCat(folder, "/", name)));
    if (is_there) {
      return absl::FailedPreconditionError(
          absl::StrCat("the checkpoint of ", Describe(checkpoint),
                       " is committed or being deleted; it takes no files"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PartPosition> FindPart(const FileSystem& files,
                                      const std::string& root,
                                      const CheckpointId& checkpoint,
                                      const std::string& file) {
  PENSTOCK_RETURN_IF_ERROR(CheckNames(checkpoint, file));
  const std::string folder = CheckpointPath(root, checkpoint);
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t part_bytes,
                            SizeOf(files, PartName(folder, file)));
  if (part_bytes >= 0) {
    return PartPosition{part_bytes - part_bytes % kDurableStepBytes, false};
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t bytes,
                            SizeOf(files, absl::StrCat(folder, "/", file)));
  return PartPosition{std::max(bytes, int64_t{0}), bytes >= 0};
}

absl::Status RemovePart(FileSystem& files, const std::string& root,
                        const CheckpointId& checkpoint,
                        const std::string& file) {
  PENSTOCK_RETURN_IF_ERROR(CheckNames(checkpoint, file));
  return files.Remove(PartName(CheckpointPath(root, checkpoint), file));
}

absl::StatusOr<PartFile> PartFile::Begin(FileSystem& files,
                                         const std::string& root, Target target,
                                         int64_t offset_bytes) {
  PENSTOCK_RETURN_IF_ERROR(CheckNames(target.checkpoint, target.file));
  if (target.size_bytes < 0 || offset_bytes < 0 ||
      offset_bytes > target.size_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(target.file, ": there is no byte ", offset_bytes,
                     " to begin at in ", target.size_bytes, " bytes"));
  }
  PENSTOCK_RETURN_IF_ERROR(PrepareFolder(files, root, target.checkpoint));
  std::string folder = CheckpointPath(root, target.checkpoint);
  PartFile part(files, std::move(folder), std::move(target));
  part.written_bytes_ = part.durable_bytes_ = offset_bytes;
  if (offset_bytes == 0) {
    PENSTOCK_ASSIGN_OR_RETURN(part.file_, files.Create(part.PartPath()));
    return part;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t part_bytes,
                            SizeOf(files, part.PartPath()));
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t whole_bytes,
                            SizeOf(files, part.Path()));
  if (part_bytes < 0 && offset_bytes == part.target_.size_bytes &&
      whole_bytes == offset_bytes) {
    PENSTOCK_RETURN_IF_ERROR(part.TakeChecksum(part.Path(), whole_bytes));
    return part;
  }
  if (part_bytes < offset_bytes) {
    return absl::OutOfRangeError(absl::StrCat(
        part.PartPath(), " has ", std::max(part_bytes, int64_t{0}),
        " bytes; cannot go on at byte ", offset_bytes, "; ask where it is"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(part.file_,
                            files.Continue(part.PartPath(), offset_bytes));
  // A process that has ended may not have synced what is there.
  PENSTOCK_RETURN_IF_ERROR(part.file_->Sync());
  PENSTOCK_RETURN_IF_ERROR(part.TakeChecksum(part.PartPath(), offset_bytes));
  return part;
}

std::string PartFile::Path() const {
  return absl::StrCat(folder_, "/", target_.file);
}

std::string PartFile::PartPath() const {
  return PartName(folder_, target_.file);
}

absl::Status PartFile::TakeChecksum(const std::string& path,
                                    int64_t size_bytes) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                            files_->Open(path));
  for (int64_t offset = 0; offset < size_bytes; offset += kPieceBytes) {
    PENSTOCK_ASSIGN_OR_RETURN(
        const std::string piece,
        file->Read(offset, std::min(kPieceBytes, size_bytes - offset)));
    crc32c_ = Crc32c(piece, crc32c_);
  }
  return absl::OkStatus();
}

absl::Status PartFile::Append(absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) >
      target_.size_bytes - written_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(
        target_.file, ": ", bytes.size(), " bytes at byte ", written_bytes_,
        " are more than the file's ", target_.size_bytes));
  }
  while (!bytes.empty()) {
    const int64_t to_step =
        kDurableStepBytes - written_bytes_ % kDurableStepBytes;
    const absl::string_view piece = bytes.substr(0, to_step);
    PENSTOCK_RETURN_IF_ERROR(file_->Append(piece));
    crc32c_ = Crc32c(piece, crc32c_);
    written_bytes_ += piece.size();
    bytes.remove_prefix(piece.size());
    if (written_bytes_ % kDurableStepBytes == 0) {
      PENSTOCK_RETURN_IF_ERROR(Sync());
    }
  }
  return absl::OkStatus();
}

absl::Status PartFile::Sync() {
  if (durable_bytes_ == written_bytes_) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(file_->Sync());
  durable_bytes_ = written_bytes_;
  return absl::OkStatus();
}

absl::StatusOr<StoredFile> PartFile::Finish() {
  if (written_bytes_ != target_.size_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(target_.file, " ends after ", written_bytes_,
                     " bytes, wanted ", target_.size_bytes));
  }
  if (file_ != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(Sync());
    PENSTOCK_RETURN_IF_ERROR(files_->Rename(PartPath(), Path()));
  }
  // Also of a file that had its name: that may be all that was durable then.
  PENSTOCK_RETURN_IF_ERROR(files_->SyncFolder(folder_));
  return StoredFile{target_.size_bytes, crc32c_};
}

}  // namespace penstock
