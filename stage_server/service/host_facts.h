#ifndef PENSTOCK_STAGE_SERVER_SERVICE_HOST_FACTS_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_HOST_FACTS_H_

#include <string>

#include "proto/stage_service.pb.h"

namespace penstock {

// What this machine says of itself: its name and kernel, this process, and the
// space that is free in /dev/shm and beside `folder`. What cannot be found out
// stays unset, as do time and versions.
HostFacts FactsOfHost(const std::string& folder);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_HOST_FACTS_H_
