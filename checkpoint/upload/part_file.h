#ifndef PENSTOCK_CHECKPOINT_UPLOAD_PART_FILE_H_
#define PENSTOCK_CHECKPOINT_UPLOAD_PART_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// A file becomes durable in steps of so many bytes, so that after a crash only
// its last, unfinished step is in doubt.
inline constexpr int64_t kDurableStepBytes = int64_t{16} << 20;

// How much of a shard has come.
struct PartPosition {
  int64_t durable_bytes = 0;
  // It is whole and has its name.
  bool complete = false;
};

// 0 of a file that is not known. Of a part, whole steps of kDurableStepBytes
// only: of what follows them a crash may have left garbage.
//   INVALID_ARGUMENT  the id or the name is none.
absl::StatusOr<PartPosition> FindPart(const FileSystem& files,
                                      const std::string& root,
                                      const CheckpointId& checkpoint,
                                      const std::string& file);

// Removes the part of a file that nobody will finish. OK when there is none.
absl::Status RemovePart(FileSystem& files, const std::string& root,
                        const CheckpointId& checkpoint,
                        const std::string& file);

// One shard on its way into a checkpoint's folder, which it makes if need be:
// written as `<file>.part`, synced every kDurableStepBytes, and given its name
// when it is whole. One thread. After an error of any call, begin again where
// `FindPart` says.
class PartFile {
 public:
  struct Target {
    CheckpointId checkpoint;
    std::string file;
    // Of the whole file.
    int64_t size_bytes = 0;
  };

  // Goes on after `offset_bytes`: 0, what `FindPart` said, or as much as is
  // known to be durable. What is there already is read again for its checksum,
  // what is there beyond is cut off. A complete file may be begun at its end,
  // so that its checksum can be asked for.
  //   INVALID_ARGUMENT     the id, the name or a size is none.
  //   OUT_OF_RANGE         so much is not there.
  //   FAILED_PRECONDITION  the checkpoint is committed or being deleted: files
  //                        of it do not change.
  static absl::StatusOr<PartFile> Begin(FileSystem& files,
                                        const std::string& root, Target target,
                                        int64_t offset_bytes);

  //   INVALID_ARGUMENT  more than the file's size.
  absl::Status Append(absl::string_view bytes);

  // Makes all that was appended durable, also within a step.
  absl::Status Sync();

  // Syncs, gives the file its name, makes that durable.
  //   INVALID_ARGUMENT  fewer bytes have come than the file's size.
  absl::StatusOr<StoredFile> Finish();

  int64_t written_bytes() const { return written_bytes_; }
  int64_t durable_bytes() const { return durable_bytes_; }

 private:
  PartFile(FileSystem& files, std::string folder, Target target)
      : files_(&files),
        folder_(std::move(folder)),
        target_(std::move(target)) {}

  std::string Path() const;
  std::string PartPath() const;
  // Of the first `size_bytes` of the file at `path`.
  absl::Status TakeChecksum(const std::string& path, int64_t size_bytes);

  FileSystem* files_;
  std::string folder_;
  Target target_;
  // Nothing when the file was complete before.
  std::unique_ptr<WritableFile> file_;
  int64_t written_bytes_ = 0;
  int64_t durable_bytes_ = 0;
  uint32_t crc32c_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_UPLOAD_PART_FILE_H_
