#include "base/parent_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace penstock {

absl::Status EndWithParent(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
    return ErrnoStatus(errno, "watch", "the parent process");
  }
  // Asked afterwards: it may have ended before.
  if (getppid() != parent) {
    return absl::CancelledError(
        absl::StrCat("process ", parent,
                     ", which --exit-with-parent names, is not the parent of "
                     "this one or has ended"));
  }
  return absl::OkStatus();
}

}  // namespace penstock
