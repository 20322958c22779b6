#ifndef PENSTOCK_CHECKPOINT_TRANSFER_GRPC_LOG_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_GRPC_LOG_H_

#include <functional>
#include <string>

namespace penstock {

using GrpcLogSink = std::function<void(const std::string&)>;

// Takes gRPC's log, which else goes to standard error, for the whole process;
// a later call replaces an earlier one. `refused` gets a line for each kind of
// TLS handshake that failed, the first time that it does; `rest` everything
// else. Either may be empty. They are called on gRPC's threads, and must not
// call gRPC.
void TakeGrpcLog(GrpcLogSink refused, GrpcLogSink rest);

// OpenSSL's reason, such as "certificate verify failed", if `message` of gRPC's
// log is about a handshake that failed; else empty. Pure.
std::string HandshakeFailure(const std::string& message);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_GRPC_LOG_H_
