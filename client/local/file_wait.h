#ifndef PENSTOCK_CLIENT_LOCAL_FILE_WAIT_H_
#define PENSTOCK_CLIENT_LOCAL_FILE_WAIT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/interrupt.h"
#include "client/local/child_process.h"

namespace penstock {

// The content of `folder`/`name`, without blanks at its ends, as soon as
// `child` has renamed it into place. Waits on the kernel's notice, not on a
// clock.
//   UNAVAILABLE        the child ended first; with its log's last lines.
//   DEADLINE_EXCEEDED  it did not appear within `timeout`.
//   CANCELLED          `interrupt` was tripped.
absl::StatusOr<std::string> WaitForFile(const std::string& folder,
                                        const std::string& name,
                                        ChildProcess& child,
                                        absl::Duration timeout,
                                        Interrupt& interrupt);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_LOCAL_FILE_WAIT_H_
