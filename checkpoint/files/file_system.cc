#include "checkpoint/files/file_system.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status PublishFile(FileSystem& files, const std::string& path,
                         absl::string_view content) {
  const std::string part = absl::StrCat(path, ".part");
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file,
                            files.Create(part));
  PENSTOCK_RETURN_IF_ERROR(file->Append(content));
  PENSTOCK_RETURN_IF_ERROR(file->Sync());
  PENSTOCK_RETURN_IF_ERROR(files.Rename(part, path));
  return files.SyncFolder(FolderOf(path));
}

absl::StatusOr<std::string> ReadWholeFile(const FileSystem& files,
                                          const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                            files.Open(path));
  return file->Read(0, file->size_bytes());
}

}  // namespace penstock
