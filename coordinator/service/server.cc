#include "coordinator/service/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "checkpoint/transfer/grpc_log.h"
#include "checkpoint/transfer/health.h"
#include "checkpoint/transfer/server_options.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

constexpr int kMaxMessageBytes = 4 << 20;
constexpr int kMaxPort = 65535;
constexpr absl::Duration kStopLimit = absl::Seconds(2);

// gRPC says only that it could not bind; the system says why.
std::string WhyNot(const HostPort& where) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(where.host.empty() ? nullptr : where.host.c_str(),
                  absl::StrCat(where.port).c_str(), &hints, &found);
  if (error != 0) return gai_strerror(error);
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return strerror(errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0) {
    return strerror(errno);
  }
  return "gRPC could not listen on it";
}

// gRPC would print pages about a port in use; our status says it in a line.
void QuietGrpcLog() {
  TakeGrpcLog([](const std::string& line) { spdlog::warn("{}", line); },
              [](const std::string& line) { spdlog::debug("gRPC: {}", line); });
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(absl::string_view address) {
  const size_t colon = address.rfind(':');
  HostPort parsed;
  absl::string_view host;
  if (colon != absl::string_view::npos) host = address.substr(0, colon);
  const bool bracketed =
      absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  parsed.host = std::string(host);
  if (colon == absl::string_view::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &parsed.port) ||
      parsed.port < 0 || parsed.port > kMaxPort ||
      (!bracketed && absl::StrContains(host, ':'))) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address,
                     "\" is no address; write host:port, for example "
                     "127.0.0.1:7070 or [::1]:7070; port 0 takes a free one"));
  }
  return parsed;
}

bool IsLoopback(absl::string_view host) {
  in_addr address;
  const bool is_ipv4 =
      inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
  return host == "localhost" || host == "::1" ||
         (is_ipv4 && absl::StartsWith(host, "127."));
}

CoordinatorServer::CoordinatorServer(Loop& loop,
                                     JobServiceAdapter::IdSource new_id)
    : loop_(loop),
      jobs_(loop, std::move(new_id)),
      admin_(loop),
      stages_(loop) {}

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::Start(
    const std::string& address, Loop& loop, JobServiceAdapter::IdSource new_id,
    const std::shared_ptr<const TlsCredentials>& tls) {
  PENSTOCK_ASSIGN_OR_RETURN(const HostPort where, ParseHostPort(address));
  std::unique_ptr<CoordinatorServer> server(
      new CoordinatorServer(loop, std::move(new_id)));
  QuietGrpcLog();
  EnableHealthAndReflection();
  grpc::ServerBuilder builder;
  SetServerOptions(kMaxMessageBytes, builder);
  int port = 0;
  builder.AddListeningPort(address, ServerCredentialsOf(tls), &port);
  builder.RegisterService(&server->jobs_);
  builder.RegisterService(&server->admin_);
  builder.RegisterService(&server->stages_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": ", WhyNot(where)));
  }
  server->address_ =
      absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
  SetServing(*server->server_, {JobService::service_full_name(),
                                AdminService::service_full_name(),
                                StageControl::service_full_name()});
  return server;
}

CoordinatorServer::~CoordinatorServer() {
  Stop(absl::UnavailableError("the coordinator is stopping"));
}

void CoordinatorServer::Stop(const absl::Status& why) {
  if (server_ == nullptr) return;
  SetNotServing(*server_);
  loop_.EndStreams(why);
  server_->Shutdown(absl::ToChronoTime(SystemClock().Now() + kStopLimit));
  server_->Wait();
  server_.reset();
}

}  // namespace penstock
