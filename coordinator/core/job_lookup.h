#ifndef PENSTOCK_COORDINATOR_CORE_JOB_LOOKUP_H_
#define PENSTOCK_COORDINATOR_CORE_JOB_LOOKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coordinator/core/state.h"

namespace penstock {

// The id of the job that a person means by `text`: an id, else the newest job
// of that name, else the only job whose id starts with it.
//   NOT_FOUND         none; with a suggestion where one is near.
//   INVALID_ARGUMENT  several ids start with it, or it is empty.
absl::StatusOr<std::string> FindJob(const ClusterState& state,
                                    absl::string_view text);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_JOB_LOOKUP_H_
