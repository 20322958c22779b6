#include "checkpoint/transfer/tls_credentials.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "checkpoint/transfer/access.h"
#include "checkpoint/transfer/grpc_status.h"
#include "grpc/grpc_security_constants.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/security/auth_metadata_processor.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "grpcpp/server_context.h"

namespace penstock {
namespace {

constexpr unsigned int kRefreshSeconds = 1;
// Refusals that are told; a flood of names does not fill the memory.
constexpr size_t kMaxRefusals = 1'000;

// The one identity among a certificate's URIs.
absl::StatusOr<Identity> IdentityIn(const std::vector<grpc::string_ref>& uris) {
  std::optional<Identity> found;
  for (const grpc::string_ref& uri : uris) {
    absl::StatusOr<Identity> identity =
        ParseIdentityUri(absl::string_view(uri.data(), uri.size()));
    if (!identity.ok()) continue;
    if (found.has_value()) {
      return absl::PermissionDeniedError("the certificate names several roles");
    }
    found = *std::move(identity);
  }
  if (found.has_value()) return *std::move(found);
  return absl::PermissionDeniedError("the certificate names no role");
}

// Believes a server by its role, and by its host's name if it has one.
class ServerVerifier : public grpc::experimental::ExternalCertificateVerifier {
 public:
  explicit ServerVerifier(std::vector<Role> wanted)
      : wanted_(std::move(wanted)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> callback,
              grpc::Status* sync_status) override {
    const absl::Status status = CheckRole(*request);
    if (!status.ok()) {
      *sync_status = ToGrpcStatus(status);
      return true;
    }
    if (request->dns_names().empty() && request->ip_names().empty()) {
      return true;
    }
    return by_host_.Verify(request, std::move(callback), sync_status);
  }

  void Cancel(
      grpc::experimental::TlsCustomVerificationCheckRequest* request) override {
    by_host_.Cancel(request);
  }

 private:
  absl::Status CheckRole(
      const grpc::experimental::TlsCustomVerificationCheckRequest& request)
      const {
    PENSTOCK_ASSIGN_OR_RETURN(const Identity identity,
                              IdentityIn(request.uri_names()));
    std::vector<absl::string_view> names;
    for (const Role role : wanted_) {
      if (identity.role == role) return absl::OkStatus();
      names.push_back(RoleName(role));
    }
    return absl::PermissionDeniedError(
        absl::StrCat("dialled a ", absl::StrJoin(names, " or "),
                     ", and its certificate is ", ToString(identity)));
  }

  const std::vector<Role> wanted_;
  grpc::experimental::HostNameCertificateVerifier by_host_;
};

// Asks access.h before each call.
class RoleCheck : public grpc::AuthMetadataProcessor {
 public:
  explicit RoleCheck(std::function<void(const std::string&)> on_refusal)
      : on_refusal_(std::move(on_refusal)) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata,
                       grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const absl::Status status = Check(metadata, *context);
    if (!status.ok()) Tell(std::string(status.message()));
    return ToGrpcStatus(status);
  }

 private:
  static absl::Status Check(const InputMetadata& metadata,
                            const grpc::AuthContext& context) {
    PENSTOCK_ASSIGN_OR_RETURN(
        const Identity peer,
        IdentityIn(context.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)));
    const auto path = metadata.find(":path");
    if (path == metadata.end()) {
      return absl::PermissionDeniedError("a call without a method");
    }
    return CheckAccess(
        absl::string_view(path->second.data(), path->second.size()), peer);
  }

  void Tell(const std::string& refusal) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (on_refusal_ == nullptr) return;
    {
      const MutexLock lock(&mutex_);
      if (told_.size() >= kMaxRefusals || !told_.insert(refusal).second) return;
    }
    on_refusal_(refusal);
  }

  const std::function<void(const std::string&)> on_refusal_;
  Mutex mutex_;
  std::set<std::string> told_ ABSL_GUARDED_BY(mutex_);
};

class WatchedCredentials : public TlsCredentials {
 public:
  WatchedCredentials(const Options& options, Identity identity)
      : identity_(std::move(identity)),
        provider_(std::make_shared<
                  grpc::experimental::FileWatcherCertificateProvider>(
            options.files.key, options.files.certificate,
            options.files.authority, kRefreshSeconds)),
        role_check_(std::make_shared<RoleCheck>(options.on_refusal)) {}

  const Identity& identity() const override { return identity_; }

  std::shared_ptr<grpc::ServerCredentials> ForServer() const override {
    grpc::experimental::TlsServerCredentialsOptions options(provider_);
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    auto credentials = grpc::experimental::TlsServerCredentials(options);
    credentials->SetAuthMetadataProcessor(role_check_);
    return credentials;
  }

  std::shared_ptr<grpc::ChannelCredentials> ForChannelTo(
      const std::vector<Role>& servers) const override {
    grpc::experimental::TlsChannelCredentialsOptions options;
    options.set_certificate_provider(provider_);
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_certificate_verifier(
        grpc::experimental::ExternalCertificateVerifier::Create<ServerVerifier>(
            servers));
    // The verifier has looked at the host.
    options.set_check_call_host(false);
    return grpc::experimental::TlsCredentials(options);
  }

 private:
  const Identity identity_;
  const std::shared_ptr<grpc::experimental::FileWatcherCertificateProvider>
      provider_;
  const std::shared_ptr<RoleCheck> role_check_;
};

absl::Status CheckOwnRole(const TlsFiles& files, const Identity& identity,
                          std::optional<Role> role) {
  const bool fits =
      role.has_value() ? identity.role == *role : !IsDialled(identity.role);
  if (fits) return absl::OkStatus();
  const absl::string_view wanted =
      role.has_value() ? RoleName(*role) : "viewer, user or admin";
  return absl::InvalidArgumentError(
      absl::StrCat(files.certificate, " is the certificate of ",
                   ToString(identity), ", wanted one of role ", wanted,
                   "; make it with `penstock certs issue "
                   "--role ",
                   role.has_value() ? wanted : "user", "`"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsCredentials>> TlsCredentials::Load(
    Options options, std::optional<Role> role, const Clock& clock) {
  PENSTOCK_ASSIGN_OR_RETURN(const CertificateFacts facts,
                            CheckTlsFiles(options.files, clock.Now()));
  PENSTOCK_RETURN_IF_ERROR(CheckOwnRole(options.files, facts.identity, role));
  return std::make_shared<const WatchedCredentials>(options, facts.identity);
}

std::shared_ptr<grpc::ServerCredentials> ServerCredentialsOf(
    const std::shared_ptr<const TlsCredentials>& tls) {
  return tls == nullptr ? grpc::InsecureServerCredentials() : tls->ForServer();
}

std::shared_ptr<grpc::ChannelCredentials> ChannelCredentialsOf(
    const std::shared_ptr<const TlsCredentials>& tls,
    const std::vector<Role>& servers) {
  return tls == nullptr ? grpc::InsecureChannelCredentials()
                        : tls->ForChannelTo(servers);
}

std::optional<Identity> CallerOf(const grpc::CallbackServerContext& context) {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr) return std::nullopt;
  absl::StatusOr<Identity> identity =
      IdentityIn(auth->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME));
  if (!identity.ok()) return std::nullopt;
  return *std::move(identity);
}

}  // namespace penstock
