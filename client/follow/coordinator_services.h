#ifndef PENSTOCK_CLIENT_FOLLOW_COORDINATOR_SERVICES_H_
#define PENSTOCK_CLIENT_FOLLOW_COORDINATOR_SERVICES_H_

#include <memory>

#include "client/follow/coordinator_client.h"
#include "grpcpp/grpcpp.h"
#include "proto/coordinator_service.grpc.pb.h"

namespace penstock {

// What a CoordinatorClient calls through. Beside its header, since gRPC's are
// slow to compile: only what reads streams includes this one. Thread-safe.
struct CoordinatorClient::Services {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<JobService::Stub> jobs;
  std::unique_ptr<AdminService::Stub> admin;
};

// `status` of a call to the coordinator at `setting`, as an absl::Status that
// says for UNAVAILABLE and DEADLINE_EXCEEDED which address and what to do.
absl::Status FromGrpc(const grpc::Status& status,
                      const CoordinatorSetting& setting);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_FOLLOW_COORDINATOR_SERVICES_H_
