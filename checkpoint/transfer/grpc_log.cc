#include "checkpoint/transfer/grpc_log.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"
#include "grpc/support/log.h"

namespace penstock {
namespace {

// Kinds of failures that are told; OpenSSL has some hundreds.
constexpr size_t kMaxTold = 100;

struct Sinks {
  Mutex mutex;
  GrpcLogSink refused ABSL_GUARDED_BY(mutex);
  GrpcLogSink rest ABSL_GUARDED_BY(mutex);
  std::set<std::string> told ABSL_GUARDED_BY(mutex);
};

// gRPC takes a function without a state, and may call it until the end.
Sinks& ProcessSinks() {
  static Sinks* const sinks = new Sinks;
  return *sinks;
}

void OnGrpcLog(gpr_log_func_args* args) {
  const std::string message = args->message;
  const std::string reason = HandshakeFailure(message);
  Sinks& sinks = ProcessSinks();
  GrpcLogSink sink;
  {
    const MutexLock lock(&sinks.mutex);
    if (reason.empty()) {
      sink = sinks.rest;
    } else if (sinks.told.size() < kMaxTold &&
               sinks.told.insert(reason).second) {
      sink = sinks.refused;
    }
  }
  if (sink == nullptr) return;
  sink(reason.empty() ? message
                      : absl::StrCat("a TLS connection failed: ", reason));
}

}  // namespace

void TakeGrpcLog(GrpcLogSink refused, GrpcLogSink rest) {
  Sinks& sinks = ProcessSinks();
  {
    const MutexLock lock(&sinks.mutex);
    sinks.refused = std::move(refused);
    sinks.rest = std::move(rest);
    sinks.told.clear();
  }
  gpr_set_log_function(OnGrpcLog);
}

std::string HandshakeFailure(const std::string& message) {
  if (!absl::StrContains(message, "Handshake failed with fatal error")) {
    return "";
  }
  // "...: error:0A000086:SSL routines::certificate verify failed."
  const std::string reason = message.substr(message.rfind(':') + 1);
  return std::string(absl::StripSuffix(reason, "."));
}

}  // namespace penstock
