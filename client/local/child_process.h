#ifndef PENSTOCK_CLIENT_LOCAL_CHILD_PROCESS_H_
#define PENSTOCK_CLIENT_LOCAL_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace penstock {

// A file descriptor that is closed with its owner. -1 is none.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();
  int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

struct ChildOptions {
  // For messages: "stage server 1".
  std::string name;
  std::string binary;
  std::vector<std::string> arguments;  // without the binary
  // Appended to by its standard output and error.
  std::string log_path;
  // It outlives this process, in a session of its own. Otherwise the kernel
  // sends it SIGTERM when the thread that started it ends.
  bool detached = false;
};

// A child in a process group of its own, so that a terminal's Ctrl-C reaches
// only this process. Not thread-safe, except that other threads may poll
// `exit_fd`. Destroying a child that is not detached kills and reaps it.
class ChildProcess {
 public:
  // NOT_FOUND, PERMISSION_DENIED, ... when the binary cannot be started, naming
  // it.
  static absl::StatusOr<ChildProcess> Start(ChildOptions options);

  ChildProcess(ChildProcess&&) = default;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  const std::string& name() const { return options_.name; }
  const std::string& log_path() const { return options_.log_path; }
  pid_t pid() const { return pid_; }
  // Becomes readable when the child has ended (a pidfd).
  int exit_fd() const { return exit_fd_.get(); }

  // Nothing when it has ended.
  void Signal(int signal);

  // True when it has ended, at the latest after `timeout`; then it is reaped.
  bool WaitFor(absl::Duration timeout);

  // "exited with 1", "was killed by signal 9 (Killed)"; empty while it runs.
  std::string ending() const;

 private:
  ChildProcess(ChildOptions options, pid_t pid, OwnedFd exit_fd);

  ChildOptions options_;
  pid_t pid_;
  OwnedFd exit_fd_;
  std::optional<int> wait_status_;
};

// The last `lines` lines of the file, each behind two blanks, to be quoted in a
// message; empty if there is none.
std::string LastLines(const std::string& path, int lines);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_LOCAL_CHILD_PROCESS_H_
