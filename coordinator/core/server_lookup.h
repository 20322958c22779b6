#ifndef PENSTOCK_COORDINATOR_CORE_SERVER_LOOKUP_H_
#define PENSTOCK_COORDINATOR_CORE_SERVER_LOOKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coordinator/core/state.h"

namespace penstock {

// The id of the server that a person means by `text`: an id, else the only
// server of that name, else the only one whose id starts with it. Of several of
// one name those that are LOST do not count.
//   NOT_FOUND         none; with a suggestion where one is near.
//   INVALID_ARGUMENT  several; or `text` is empty.
absl::StatusOr<std::string> FindServer(const ClusterState& state,
                                       absl::string_view text);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_SERVER_LOOKUP_H_
