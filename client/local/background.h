#ifndef PENSTOCK_CLIENT_LOCAL_BACKGROUND_H_
#define PENSTOCK_CLIENT_LOCAL_BACKGROUND_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace penstock {

// A process that `penstock local up` left running.
struct BackgroundProcess {
  std::string name;
  pid_t pid = 0;
  // Of /proc/<pid>/stat: tells it from a later process with the same pid.
  uint64_t start_ticks = 0;
};

// What is running, as `<folder>/processes.json` keeps it.
struct BackgroundRecord {
  std::string address;
  std::vector<BackgroundProcess> processes;
};

// NOT_FOUND when there is no record in `folder`; INVALID_ARGUMENT when it is
// damaged.
absl::StatusOr<BackgroundRecord> ReadBackgroundRecord(
    const std::string& folder);
absl::Status WriteBackgroundRecord(const std::string& folder,
                                   const BackgroundRecord& record);
void RemoveBackgroundRecord(const std::string& folder);

// The start time of a live process; 0 when there is none.
uint64_t StartTicks(pid_t pid);

// Whether that very process is still there.
bool IsRunning(const BackgroundProcess& process);

// SIGTERM, then SIGKILL after `grace`; returns once it has gone. Nothing when
// it is another process by now. UNKNOWN when it does not even go then.
absl::Status EndProcess(const BackgroundProcess& process, absl::Duration grace);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_LOCAL_BACKGROUND_H_
