#include "client/exit_code.h"

namespace penstock {

const std::vector<ExitCodeMeaning>& ExitCodes() {
  static const auto* const codes = new std::vector<ExitCodeMeaning>{
      {ExitCode::kOk, "done; a followed job has succeeded"},
      {ExitCode::kFailed,
       "the job failed, or an error without a number of its own"},
      {ExitCode::kUsage,
       "wrong arguments, job file, token file or schedule file"},
      {ExitCode::kNotFound, "no such job, checkpoint or stage server"},
      {ExitCode::kCancelled, "the job was cancelled, or the command itself"},
      {ExitCode::kTimeout, "no answer within --timeout"},
      {ExitCode::kUnsound,
       "the schedule is unsound, or the two schedules differ"},
      {ExitCode::kStreamLost, "watching ended early; the job is unaffected"},
      {ExitCode::kUnavailable, "no coordinator answers"},
      {ExitCode::kPermission, "permission denied"},
  };
  return *codes;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kCancelled:
      return ExitCode::kCancelled;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kTimeout;
    case absl::StatusCode::kDataLoss:
      return ExitCode::kStreamLost;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kPermission;
    default:
      return ExitCode::kFailed;
  }
}

ExitCode ExitCodeOf(JobState state) {
  switch (state) {
    case JOB_STATE_SUCCEEDED:
      return ExitCode::kOk;
    case JOB_STATE_CANCELLED:
      return ExitCode::kCancelled;
    case JOB_STATE_FAILED:
      return ExitCode::kFailed;
    default:
      return ExitCode::kStreamLost;
  }
}

}  // namespace penstock
