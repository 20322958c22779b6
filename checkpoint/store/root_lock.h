#ifndef PENSTOCK_CHECKPOINT_STORE_ROOT_LOCK_H_
#define PENSTOCK_CHECKPOINT_STORE_ROOT_LOCK_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/file_lock.h"

namespace penstock {

// In the root of a folder of checkpoints; no job can have this name.
inline constexpr char kRootLockFile[] = ".penstock-lock";

// Makes this process the one owner of the folder of checkpoints `root`, for as
// long as the lock lives. `root` must be there.
//   UNAVAILABLE  another process owns it: names its process id and host, and
//                says what to do.
// Else as ErrnoStatus.
absl::StatusOr<FileLock> LockRoot(const std::string& root);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_STORE_ROOT_LOCK_H_
