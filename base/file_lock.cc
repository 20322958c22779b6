#include "base/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace penstock {
namespace {

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "a host of no name";
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Take(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  FileLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return ErrnoStatus(error, "lock", path);
    const std::string owner = ReadFile(path).value_or("");
    return absl::FailedPreconditionError(
        absl::StrCat("in use by process ", absl::StripAsciiWhitespace(owner),
                     " (", path, ")"));
  }
  const std::string owner = absl::StrCat(getpid(), " on ", HostName(), "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, owner.data(), owner.size(), 0) !=
                                   static_cast<ssize_t>(owner.size())) {
    return ErrnoStatus(errno, "write", path);
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace penstock
