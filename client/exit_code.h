#ifndef PENSTOCK_CLIENT_EXIT_CODE_H_
#define PENSTOCK_CLIENT_EXIT_CODE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// What the process ends with; scripts rely on the numbers. `ExitCodes` says
// what each means.
enum class ExitCode {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kCancelled = 4,
  kTimeout = 5,
  kUnsound = 6,
  kStreamLost = 20,
  kUnavailable = 69,
  kPermission = 77,
};

struct ExitCodeMeaning {
  ExitCode code;
  std::string meaning;
};

// Every exit code in ascending order, for the help and
// docs/command_line.md.
const std::vector<ExitCodeMeaning>& ExitCodes();

// The code for a command that failed with `status`. A stream that broke for
// good has DATA_LOSS.
ExitCode ExitCodeOf(const absl::Status& status);

// The code for having followed a job to `state`.
ExitCode ExitCodeOf(JobState state);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_EXIT_CODE_H_
