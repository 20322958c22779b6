#ifndef PENSTOCK_CLIENT_EXIT_CODE_H_
#define PENSTOCK_CLIENT_EXIT_CODE_H_

#include "absl/status/status.h"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// What the process ends with; scripts rely on the numbers.
enum class ExitCode {
  kOk = 0,
  kFailed = 1,        // the job failed, or an error without a number of its own
  kUsage = 2,         // wrong arguments or a wrong job file
  kNotFound = 3,      // no such job
  kCancelled = 4,     // the job was cancelled
  kTimeout = 5,       // no answer within --timeout
  kStreamLost = 20,   // watching ended early; the job is unaffected
  kUnavailable = 69,  // no coordinator there
  kPermission = 77,
};

// The code for a command that failed with `status`. A stream that broke for
// good has DATA_LOSS.
ExitCode ExitCodeOf(const absl::Status& status);

// The code for having followed a job to `state`.
ExitCode ExitCodeOf(JobState state);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_EXIT_CODE_H_
