#ifndef PENSTOCK_BASE_SUPERVISOR_H_
#define PENSTOCK_BASE_SUPERVISOR_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace penstock {

// What a daemon tells whoever started it: systemd, for a unit of Type=notify,
// in the protocol of sd_notify(3). Says nothing where nobody listens, and a
// message that cannot be delivered is lost: nothing of ours depends on it.
//
// A unit with WatchdogSec= kills a process that has not turned for so long.
// That is to be told by the loop that does the work, not by a timer beside it.
//
// Thread-safe.
class Supervisor {
 public:
  // Where to talk to and how often is in the process's environment
  // (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID), which is not changed.
  explicit Supervisor(
      std::function<int64_t()> monotonic_nanos = MonotonicNanos);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The process does its work from now on. `status` is one line for
  // `systemctl status`; line ends in it become blanks.
  void Ready(absl::string_view status);

  // The loop has turned, and does what `status` says. Cheap: at most one
  // message a second is sent, and none that would say nothing new. To be called
  // at least four times in `watchdog_period`.
  void Turned(absl::string_view status) ABSL_LOCKS_EXCLUDED(mutex_);

  // The process was told to end, and does so. Later turns keep it alive, but
  // say nothing else.
  void Stopping(absl::string_view status) ABSL_LOCKS_EXCLUDED(mutex_);

  // After so long without a turn the process is killed; infinite where nobody
  // watches.
  absl::Duration watchdog_period() const { return watchdog_period_; }

 private:
  const std::function<int64_t()> monotonic_nanos_;
  const absl::Duration watchdog_period_;

  Mutex mutex_;
  // Of the last turn that was told.
  int64_t told_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string told_status_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_SUPERVISOR_H_
