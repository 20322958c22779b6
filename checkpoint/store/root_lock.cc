#include "checkpoint/store/root_lock.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_context.h"

namespace penstock {

absl::StatusOr<FileLock> LockRoot(const std::string& root) {
  absl::StatusOr<FileLock> lock =
      FileLock::Take(absl::StrCat(root, "/", kRootLockFile));
  if (lock.ok()) return lock;
  const std::string context = absl::StrCat("folder of checkpoints ", root);
  if (!absl::IsFailedPrecondition(lock.status())) {
    return WithContext(lock.status(), context);
  }
  return absl::UnavailableError(absl::StrCat(
      context, ": ", lock.status().message(),
      "; two owners would delete each other's files: stop that process, or "
      "name another folder"));
}

}  // namespace penstock
