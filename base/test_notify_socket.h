#ifndef PENSTOCK_BASE_TEST_NOTIFY_SOCKET_H_
#define PENSTOCK_BASE_TEST_NOTIFY_SOCKET_H_

#include <string>

#include "absl/strings/string_view.h"

namespace penstock {

// For tests: the end of the sd_notify protocol that systemd has. This process
// and those that it starts meanwhile find it in NOTIFY_SOCKET. Used by one
// thread.
class TestNotifySocket {
 public:
  TestNotifySocket();
  TestNotifySocket(const TestNotifySocket&) = delete;
  TestNotifySocket& operator=(const TestNotifySocket&) = delete;
  ~TestNotifySocket();

  // The oldest message that was not taken; waits for one, but gives up after
  // half a minute with an empty one.
  std::string Next();
  // The oldest that was not taken if it has come; else an empty one.
  std::string NextIfAny();
  // The next message with `text` in it; those before are dropped. Empty if none
  // comes.
  std::string NextWith(absl::string_view text);

 private:
  std::string Receive(int flags);

  int socket_ = -1;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_TEST_NOTIFY_SOCKET_H_
