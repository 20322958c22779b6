#include "coordinator/service/audit.h"

#include <optional>

#include "absl/strings/escaping.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

// Of a name that is given, so much is kept.
constexpr size_t kMaxSubjectBytes = 200;

}  // namespace

void Audit(const grpc::CallbackServerContext& context, const std::string& call,
           const std::string& subject) {
  const std::optional<Identity> caller = CallerOf(context);
  if (!caller.has_value()) return;
  spdlog::info("AUDIT {} at {} asks for {}{}{}", ToString(*caller),
               context.peer(), call, subject.empty() ? "" : " of ",
               absl::Utf8SafeCEscape(subject.substr(0, kMaxSubjectBytes)));
}

}  // namespace penstock
