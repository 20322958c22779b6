#ifndef PENSTOCK_CHECKPOINT_FILES_FILE_SYSTEM_H_
#define PENSTOCK_CHECKPOINT_FILES_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// The operations on files that checkpoints are made of, and no others, so that
// a test can make each of them fail, and lose what a crash may lose.
//
// Errors name the path and the reason: NOT_FOUND, PERMISSION_DENIED,
// RESOURCE_EXHAUSTED (no space), else UNKNOWN. After an error of Append or Sync
// nothing is known of the file's content; write it anew.

// A file that is written from front to back. One thread. Destroying it closes
// it; what was not synced may then be lost.
class WritableFile {
 public:
  virtual ~WritableFile() = default;

  // All of it, or an error.
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // What was appended survives the end of the machine, if its name does.
  virtual absl::Status Sync() = 0;
};

// A file as it was when it was opened. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;

  virtual int64_t size_bytes() const = 0;
  // Exactly `size_bytes` from `offset` on.
  //   OUT_OF_RANGE  the file ends before.
  virtual absl::StatusOr<std::string> Read(int64_t offset,
                                           int64_t size_bytes) const = 0;
};

// What a name stands for; a link is none of the others, whatever it leads to.
enum class PathKind { kFile, kFolder, kOther };

// Thread-safe; two threads that write one path are the callers' mistake. The
// last name of the path of a file is not followed where it is a link: UNKNOWN.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Empty; what was there is gone. Its folder must exist.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) = 0;
  // A file to go on with after its first `size_bytes`; the rest is cut off.
  //   OUT_OF_RANGE  the file is shorter.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Continue(
      const std::string& path, int64_t size_bytes) = 0;
  virtual absl::StatusOr<std::unique_ptr<ReadableFile>> Open(
      const std::string& path) const = 0;

  // Replaces what has the name `to`. Both in one folder.
  virtual absl::Status Rename(const std::string& from,
                              const std::string& to) = 0;
  // A file or an empty folder; OK when there is none.
  virtual absl::Status Remove(const std::string& path) = 0;
  // Which names the folder has survives the end of the machine.
  virtual absl::Status SyncFolder(const std::string& path) = 0;
  // With the folders above it; OK when it is there.
  virtual absl::Status MakeFolder(const std::string& path) = 0;
  // NOT_FOUND if there is nothing of that name.
  virtual absl::StatusOr<PathKind> KindOf(const std::string& path) const = 0;
  // Names in the folder, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) const = 0;
};

// Of the machine.
std::unique_ptr<FileSystem> MakePosixFileSystem();

// A whole file whose readers, after a crash too, see nothing or all of it:
// writes `path`.part, syncs it, renames it, syncs the folder.
absl::Status PublishFile(FileSystem& files, const std::string& path,
                         absl::string_view content);

absl::StatusOr<std::string> ReadWholeFile(const FileSystem& files,
                                          const std::string& path);

// "a/b" of "a/b/c"; "." of "c".
std::string FolderOf(const std::string& path);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_FILES_FILE_SYSTEM_H_
