#include "base/test_notify_socket.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace penstock {

TestNotifySocket::TestNotifySocket() {
  constexpr timeval kPatience = {30, 0};
  static int num_sockets = 0;
  // Abstract: paths of tests are longer than a socket's address may be.
  const std::string name =
      absl::StrCat("@penstock-notify-", getpid(), "-", ++num_sockets);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  address.sun_path[0] = '\0';
  const socklen_t size = offsetof(sockaddr_un, sun_path) + name.size();
  socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kPatience,
                       sizeof(kPatience)),
            0);
  EXPECT_EQ(setenv("NOTIFY_SOCKET", name.c_str(), /*overwrite=*/1), 0);
}

TestNotifySocket::~TestNotifySocket() {
  unsetenv("NOTIFY_SOCKET");
  close(socket_);
}

std::string TestNotifySocket::Next() { return Receive(0); }

std::string TestNotifySocket::NextIfAny() { return Receive(MSG_DONTWAIT); }

std::string TestNotifySocket::NextWith(absl::string_view text) {
  while (true) {
    std::string message = Next();
    if (message.empty() || absl::StrContains(message, text)) return message;
  }
}

std::string TestNotifySocket::Receive(int flags) {
  char buffer[4096];
  const ssize_t size = recv(socket_, buffer, sizeof(buffer), flags);
  return size < 0 ? "" : std::string(buffer, size);
}

}  // namespace penstock
