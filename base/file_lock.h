#ifndef PENSTOCK_BASE_FILE_LOCK_H_
#define PENSTOCK_BASE_FILE_LOCK_H_

#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// One process at a time, by flock(2): the kernel lets go when the process ends,
// however it ends. The file stays; it holds the last owner's process id and
// host.
class FileLock {
 public:
  // FAILED_PRECONDITION, naming the owner's process id and host, if it is
  // taken. Else as ErrnoStatus.
  static absl::StatusOr<FileLock> Take(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_FILE_LOCK_H_
