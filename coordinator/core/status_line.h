#ifndef PENSTOCK_COORDINATOR_CORE_STATUS_LINE_H_
#define PENSTOCK_COORDINATOR_CORE_STATUS_LINE_H_

#include <string>

#include "coordinator/core/state.h"

namespace penstock {

// What the cluster is at, for `systemctl status`: "jobs: 2 running, 1 waiting;
// 3 of 4 stage servers connected". Jobs that have ended are not counted. Pure.
std::string StatusLine(const ClusterState& state);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_STATUS_LINE_H_
