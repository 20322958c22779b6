#ifndef PENSTOCK_STAGE_SERVER_SERVICE_LOCAL_HOST_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_LOCAL_HOST_H_

#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// The address of this machine from which it reaches `target` ("host:port"), by
// its routes: "127.0.0.1", "10.0.0.7", "[fd00::7]". Sends nothing; may ask the
// name service for the host.
//   INVALID_ARGUMENT  no host:port.
//   UNAVAILABLE       the host has no address, or there is no route to it.
absl::StatusOr<std::string> LocalHostTowards(const std::string& target);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_LOCAL_HOST_H_
