#include "checkpoint/shards/committed_file.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"

namespace penstock {
namespace {

bool IsStateFile(absl::string_view name) {
  return name == kManifestFile || name == kTrainStateFile ||
         name == kWeightIndexFile || name == kCommitFile || name == kPartFile;
}

absl::Status CheckKind(const FileSystem& files, const std::string& path,
                       PathKind wanted) {
  PENSTOCK_ASSIGN_OR_RETURN(const PathKind kind, files.KindOf(path));
  if (kind == wanted) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      path, " is no ", wanted == PathKind::kFile ? "file" : "folder",
      "; links are not followed"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReadableFile>> OpenCommitted(
    const FileSystem& files, const std::string& root,
    const CheckpointId& checkpoint, const std::string& file,
    const char* marker) {
  PENSTOCK_RETURN_IF_ERROR(CheckCheckpointId(checkpoint));
  if (!IsStateFile(file)) {
    PENSTOCK_RETURN_IF_ERROR(ParseShardFileName(file).status());
  }
  const std::string folder = CheckpointPath(root, checkpoint);
  for (const std::string& path : {FolderOf(folder), folder}) {
    PENSTOCK_RETURN_IF_ERROR(CheckKind(files, path, PathKind::kFolder));
  }
  const std::string complete = absl::StrCat(folder, "/", marker);
  if (const auto kind = files.KindOf(complete); !kind.ok()) {
    if (!absl::IsNotFound(kind.status())) return kind.status();
    return absl::NotFoundError(
        absl::StrCat("the checkpoint of ", Describe(checkpoint),
                     " is not committed: it has no ", marker));
  }
  const std::string path = absl::StrCat(folder, "/", file);
  PENSTOCK_RETURN_IF_ERROR(CheckKind(files, path, PathKind::kFile));
  return files.Open(path);
}

}  // namespace penstock
