#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TEST_HEALTH_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TEST_HEALTH_H_

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace penstock {

// For tests: what a probe asks a server. Debian has no headers of these
// protocols, so the few bytes of their messages are written by hand.

// What grpc.health.v1.Health/Check says of `service`: "SERVING",
// "NOT_SERVING", or the name of the error's code.
std::string HealthOf(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& service);

// The answer of server reflection to "which services are there", as it is on
// the wire: the names are in it. Empty if there is no reflection.
std::string ReflectedServices(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TEST_HEALTH_H_
