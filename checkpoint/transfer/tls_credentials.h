#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TLS_CREDENTIALS_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TLS_CREDENTIALS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/tls/identity.h"
#include "base/tls/tls_files.h"

namespace grpc {
class CallbackServerContext;
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace penstock {

// What one process shows on its gRPC connections, and whom it believes there:
// TLS with certificates on both sides. The files are read again within about a
// second of a change, for new connections; those that are open go on. Files
// that are missing or do not fit each other for a while are waited for: the
// last good ones are used.
//
// A caller is who its certificate says, and may call what access.h says;
// refusals are PERMISSION_DENIED. Thread-safe.
class TlsCredentials {
 public:
  struct Options {
    TlsFiles files;
    // Called, on gRPC's threads, with one line for each kind of refused call,
    // the first time.
    std::function<void(const std::string&)> on_refusal;
  };

  // Errors as CheckTlsFiles, and INVALID_ARGUMENT if the certificate's role is
  // not `role`; unset: of any person.
  static absl::StatusOr<std::shared_ptr<const TlsCredentials>> Load(
      Options options, std::optional<Role> role, const Clock& clock);
  virtual ~TlsCredentials() = default;

  // Whose certificate it was when it was loaded.
  virtual const Identity& identity() const = 0;

  virtual std::shared_ptr<grpc::ServerCredentials> ForServer() const = 0;

  // To a server whose certificate says one of `servers`; if it names hosts, the
  // dialled one must be among them.
  virtual std::shared_ptr<grpc::ChannelCredentials> ForChannelTo(
      const std::vector<Role>& servers) const = 0;
};

// The same, where there may be none: then in the clear.
std::shared_ptr<grpc::ServerCredentials> ServerCredentialsOf(
    const std::shared_ptr<const TlsCredentials>& tls);
std::shared_ptr<grpc::ChannelCredentials> ChannelCredentialsOf(
    const std::shared_ptr<const TlsCredentials>& tls,
    const std::vector<Role>& servers);

// Who makes the call of `context`; nothing if it came in the clear.
std::optional<Identity> CallerOf(const grpc::CallbackServerContext& context);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TLS_CREDENTIALS_H_
