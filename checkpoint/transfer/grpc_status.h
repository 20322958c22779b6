#ifndef PENSTOCK_CHECKPOINT_TRANSFER_GRPC_STATUS_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_GRPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace penstock {

// The codes of both are the same numbers.
inline grpc::Status ToGrpcStatus(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

inline absl::Status FromGrpcStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_GRPC_STATUS_H_
