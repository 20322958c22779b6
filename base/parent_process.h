#ifndef PENSTOCK_BASE_PARENT_PROCESS_H_
#define PENSTOCK_BASE_PARENT_PROCESS_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace penstock {

// Has the kernel send SIGTERM to this process when `parent`, its parent, ends.
// Called on the main thread: the signal comes when the thread that started this
// process ends.
//   CANCELLED  `parent` has ended already, or is another process's parent.
absl::Status EndWithParent(pid_t parent);

}  // namespace penstock

#endif  // PENSTOCK_BASE_PARENT_PROCESS_H_
