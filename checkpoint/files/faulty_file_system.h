#ifndef PENSTOCK_CHECKPOINT_FILES_FAULTY_FILE_SYSTEM_H_
#define PENSTOCK_CHECKPOINT_FILES_FAULTY_FILE_SYSTEM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "checkpoint/files/file_system.h"

namespace penstock {

enum class FileFault {
  kNoSpace,     // RESOURCE_EXHAUSTED; nothing is done
  kIoError,     // UNKNOWN; nothing is done
  kShortWrite,  // as kNoSpace, but an Append has written half of it
  // The machine ends before the operation is done, and every later one fails
  // with ABORTED, until it is started again.
  kCrash,
};

// For tests: files in memory, of which a crash leaves what the calls that came
// before it promise, and of the rest what `Restart` draws:
//   content  of bytes that were appended and not synced: any number of the
//            first, the last of them possibly garbage;
//   names    of each name that was made, replaced or removed and whose folder
//            was not synced: the old state or the new, each by itself.
// Folders are durable at once. Thread-safe.
class FaultyFileSystem : public FileSystem {
 public:
  // The `operation`-th call from now on, from 0, that changes something or
  // reads, fails so. One fault at a time.
  void FailAt(int64_t operation, FileFault fault) ABSL_LOCKS_EXCLUDED(mutex_);

  // Calls since the start, faults included.
  int64_t num_operations() const ABSL_LOCKS_EXCLUDED(mutex_);

  // After kCrash or any other time: the machine starts again. What was not
  // durable is drawn by `seed`. Files open before are of no more use.
  void Restart(uint64_t seed) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> Continue(
      const std::string& path, int64_t size_bytes) override;
  absl::StatusOr<std::unique_ptr<ReadableFile>> Open(
      const std::string& path) const override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncFolder(const std::string& path) override;
  absl::Status MakeFolder(const std::string& path) override;
  absl::StatusOr<PathKind> KindOf(const std::string& path) const override;
  absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) const override;

 private:
  class Appender;
  // What a name stands for; renaming keeps it.
  struct Content {
    std::string bytes;
    // Of these, so many survive.
    size_t num_synced = 0;
  };
  using Names = std::map<std::string, std::shared_ptr<Content>>;

  // Counts a call; what it is to answer instead of doing anything.
  absl::Status Count(const std::string& path, bool* writes_half = nullptr) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckFolder(const std::string& path) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Append(Content& content, int64_t start, const std::string& path,
                      absl::string_view bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Sync(Content& content, int64_t start, const std::string& path)
      ABSL_LOCKS_EXCLUDED(mutex_);

  mutable Mutex mutex_;
  mutable int64_t num_operations_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable std::optional<std::pair<int64_t, FileFault>> fault_
      ABSL_GUARDED_BY(mutex_);
  mutable bool has_crashed_ ABSL_GUARDED_BY(mutex_) = false;
  // Starts of the machine; an open file of an earlier one is of no use.
  int64_t start_ ABSL_GUARDED_BY(mutex_) = 0;
  Names names_ ABSL_GUARDED_BY(mutex_);
  Names durable_names_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> folders_ ABSL_GUARDED_BY(mutex_) = {"/", "."};
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_FILES_FAULTY_FILE_SYSTEM_H_
