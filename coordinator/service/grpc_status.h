#ifndef PENSTOCK_COORDINATOR_SERVICE_GRPC_STATUS_H_
#define PENSTOCK_COORDINATOR_SERVICE_GRPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace penstock {

// The codes of both are the same numbers.
inline grpc::Status ToGrpcStatus(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_GRPC_STATUS_H_
