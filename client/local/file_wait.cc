#include "client/local/file_wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"

namespace penstock {

absl::StatusOr<std::string> WaitForFile(const std::string& folder,
                                        const std::string& name,
                                        ChildProcess& child,
                                        absl::Duration timeout,
                                        Interrupt& interrupt) {
  const std::string path = absl::StrCat(folder, "/", name);
  const OwnedFd notices(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (notices.get() < 0 ||
      inotify_add_watch(notices.get(), folder.c_str(),
                        IN_MOVED_TO | IN_CLOSE_WRITE) < 0) {
    return ErrnoStatus(errno, "watch", folder);
  }
  const OwnedFd tripped(eventfd(0, EFD_CLOEXEC));
  const Interrupt::Registration wake =
      interrupt.OnTrip([fd = tripped.get()] { eventfd_write(fd, 1); });
  const absl::Time deadline = SystemClock().Now() + timeout;
  while (true) {
    // The watch came first, so a file that is missed here makes a notice.
    const absl::StatusOr<std::string> content = ReadFile(path);
    if (content.ok() && !content->empty()) {
      return std::string(absl::StripAsciiWhitespace(*content));
    }
    if (interrupt.tripped()) return absl::CancelledError("interrupted");
    if (child.WaitFor(absl::ZeroDuration())) {
      return absl::UnavailableError(
          absl::StrCat("the ", child.name(), " ", child.ending(),
                       " before it was ready; its log ", child.log_path(),
                       " ends with:\n", LastLines(child.log_path(), 5)));
    }
    const absl::Duration left = deadline - SystemClock().Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the ", child.name(), " was not ready within ",
          absl::FormatDuration(timeout), "; see ", child.log_path()));
    }
    pollfd events[] = {{notices.get(), POLLIN, 0},
                       {child.exit_fd(), POLLIN, 0},
                       {tripped.get(), POLLIN, 0}};
    poll(events, 3, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    char buffer[4096];
    while (read(notices.get(), buffer, sizeof(buffer)) > 0) {
    }
  }
}

}  // namespace penstock
