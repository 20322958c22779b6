#ifndef PENSTOCK_CHECKPOINT_TRANSFER_ACCESS_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_ACCESS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/tls/identity.h"

namespace penstock {

// Who may call what, of every gRPC service of ours: the one table. Pure.

struct AccessRule {
  // "/penstock.JobService/GetJob", or a whole service
  // "/penstock.StageControl/".
  absl::string_view calls;
  // The least of viewer, user and admin that may; processes if not people.
  enum class People { kNobody, kViewer, kUser, kAdmin } people;
  // Of stage-server, coordinator and store, those that may.
  std::vector<Role> processes;
};

const std::vector<AccessRule>& AccessRules();

// PERMISSION_DENIED, with who could, unless `peer` may call `method`
// ("/package.Service/Method"). What no rule names is refused to everybody.
absl::Status CheckAccess(absl::string_view method, const Identity& peer);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_ACCESS_H_
