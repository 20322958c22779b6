#ifndef PENSTOCK_CHECKPOINT_TRANSFER_HEALTH_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_HEALTH_H_

#include <string>
#include <vector>

#include "grpcpp/server.h"

namespace penstock {

// Gives every server that is built from now on grpc.health.v1.Health and
// server reflection, so that load balancers, probes and grpcurl need nothing of
// ours. Not while another thread builds one.
void EnableHealthAndReflection();

// Says that each of `services` ("penstock.JobService") serves. Asked for "",
// the whole server, it says so from the start.
void SetServing(grpc::Server& server, const std::vector<std::string>& services);

// Says that nothing serves any more; those who watch are told at once. Before
// the server shuts down.
void SetNotServing(grpc::Server& server);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_HEALTH_H_
