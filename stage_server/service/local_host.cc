#include "stage_server/service/local_host.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// "[::1]" is written with brackets, and known without.
std::string WithoutBrackets(absl::string_view host) {
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  }
  return std::string(host);
}

// The own end of a socket that is bound to nothing but a peer; empty if there
// is no way there.
std::string OwnEndTowards(const addrinfo& address) {
  const int socket_fd = socket(address.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return "";
  sockaddr_storage own = {};
  socklen_t size = sizeof(own);
  char host[NI_MAXHOST] = {};
  const bool is_known =
      connect(socket_fd, address.ai_addr, address.ai_addrlen) == 0 &&
      getsockname(socket_fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
      getnameinfo(reinterpret_cast<sockaddr*>(&own), size, host, sizeof(host),
                  nullptr, 0, NI_NUMERICHOST) == 0;
  close(socket_fd);
  if (!is_known) return "";
  return address.ai_family == AF_INET6 ? absl::StrCat("[", host, "]") : host;
}

}  // namespace

absl::StatusOr<std::string> LocalHostTowards(const std::string& target) {
  const size_t colon = target.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", target, "\" is no host:port"));
  }
  const std::string host = WithoutBrackets(target.substr(0, colon));
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(host.c_str(), target.c_str() + colon + 1, &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat(host, " has no address: ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found,
                                                               &freeaddrinfo);
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (std::string own = OwnEndTowards(*one); !own.empty()) return own;
  }
  return absl::UnavailableError(absl::StrCat("there is no route to ", host));
}

}  // namespace penstock
