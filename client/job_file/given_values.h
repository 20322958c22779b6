#ifndef PENSTOCK_CLIENT_JOB_FILE_GIVEN_VALUES_H_
#define PENSTOCK_CLIENT_JOB_FILE_GIVEN_VALUES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/job_file/job_file.h"
#include "yaml-cpp/yaml.h"

namespace penstock {

// A value that the user gave, and where.
struct GivenValue {
  YAML::Node node;
  // "job.yaml:3:7" or "--set steps=x".
  std::string where;
  bool from_override = false;
};

// Every value of a job file and its overrides by key path. A name inside a
// mapping key is a path of its own: "model.overrides.layers".
struct GivenValues {
  std::map<std::string, GivenValue> by_path;
  // One line per problem, in the order met.
  std::vector<std::string> problems;
};

// Flattens `text`, then lays `overrides` over it. Unknown, repeated and
// misplaced keys become problems; types are not looked at. Pure; throws
// nothing.
GivenValues CollectGivenValues(absl::string_view text,
                               const JobFileSource& source,
                               const std::vector<JobOverride>& overrides);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_JOB_FILE_GIVEN_VALUES_H_
