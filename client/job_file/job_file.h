#ifndef PENSTOCK_CLIENT_JOB_FILE_JOB_FILE_H_
#define PENSTOCK_CLIENT_JOB_FILE_JOB_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/zoo/zoo.h"
#include "proto/job.pb.h"

namespace penstock {

// One key given on the command line.
struct JobOverride {
  std::string key;    // "optimizer.learning_rate"
  std::string value;  // YAML, usually one scalar
  // How it was given, for messages: "--set optimizer.learning_rate=x".
  std::string origin;
};

// "key=value" to an override. INVALID_ARGUMENT when there is no '='.
absl::StatusOr<JobOverride> ParseSetFlag(absl::string_view flag);

// Where a job file's text came from and what it may refer to.
struct JobFileSource {
  // As the user wrote it; begins messages: "jobs/nano.yaml:3:1: ...".
  std::string path;
  // Absolute; a relative path in the file counts from here.
  std::string folder;
  // Absolute; a relative path in an override counts from here.
  std::string working_folder;
};

// The job that `text` and `overrides` (the later wins) describe, with every
// default filled in, checked as far as that needs neither the coordinator nor a
// file.
//
// Pure. INVALID_ARGUMENT lists every problem found, one per line, each with
// file, line and column (or the override), what was wanted, what was got, and a
// suggestion for a misspelt name.
absl::StatusOr<Job> ParseJobFile(absl::string_view text,
                                 const JobFileSource& source,
                                 const std::vector<JobOverride>& overrides,
                                 const std::vector<PresetInfo>& presets);

// Parses the text, and reads the schedule file and the profile that it names,
// if any.
//   INVALID_ARGUMENT  as above; a file that it names cannot be read, is none,
//                     or is larger than a message allows.
absl::StatusOr<Job> LoadJobText(absl::string_view text,
                                const JobFileSource& source,
                                const std::vector<JobOverride>& overrides,
                                const std::vector<PresetInfo>& presets);

// Reads `path` and loads its text.
//   NOT_FOUND         there is no such job file.
//   INVALID_ARGUMENT  as above.
absl::StatusOr<Job> LoadJobFile(const std::string& path,
                                const std::string& working_folder,
                                const std::vector<JobOverride>& overrides,
                                const std::vector<PresetInfo>& presets);

// How many stage servers the job takes, as far as it says so; 0 where only the
// coordinator can tell.
int CountServers(const PartitionSpec& partition);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_JOB_FILE_JOB_FILE_H_
