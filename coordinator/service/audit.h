#ifndef PENSTOCK_COORDINATOR_SERVICE_AUDIT_H_
#define PENSTOCK_COORDINATOR_SERVICE_AUDIT_H_

#include <string>

#include "grpcpp/server_context.h"

namespace penstock {

// Leaves a line AUDIT in the log: the caller of `context` asks for `call` of
// `subject` (a job, checkpoint or server as it was given; may be empty). Every
// call that changes something does so before anything else, so it says what was
// asked, not what came of it. Nothing of a caller in the clear, who is nobody.
void Audit(const grpc::CallbackServerContext& context, const std::string& call,
           const std::string& subject);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_AUDIT_H_
