#include "client/local/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/file.h"

namespace penstock {
namespace {

// In the child, between fork and exec: other threads' locks may be held, so
// only async-signal-safe calls.
[[noreturn]] void BecomeChild(const char* binary, char* const* arguments,
                              int log_fd, int error_fd, bool detached,
                              pid_t parent) {
  if (detached) {
    setsid();
  } else {
    setpgid(0, 0);
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) {
    // Drops a Ctrl-C that reached this process while it was still in its
    // parent's group: the parent has it too, and ends its children in order.
    ::signal(signal, SIG_IGN);
    ::signal(signal, SIG_DFL);
  }
  if (!detached) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(0);  // it died before the line above
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd >= 0) dup2(null_fd, STDIN_FILENO);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  execv(binary, arguments);
  const int error = errno;
  [[maybe_unused]] const ssize_t put = write(error_fd, &error, sizeof(error));
  _exit(127);
}

// The errno of a failed exec, or 0 once the exec has closed the pipe.
int ReadExecError(int fd) {
  int error = 0;
  ssize_t got = 0;
  do {
    got = read(fd, &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  return got == sizeof(error) ? error : 0;
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) close(fd_);
}

int OwnedFd::release() { return std::exchange(fd_, -1); }

ChildProcess::ChildProcess(ChildOptions options, pid_t pid, OwnedFd exit_fd)
    : options_(std::move(options)), pid_(pid), exit_fd_(std::move(exit_fd)) {}

absl::StatusOr<ChildProcess> ChildProcess::Start(ChildOptions options) {
  const OwnedFd log(open(options.log_path.c_str(),
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log.get() < 0) return ErrnoStatus(errno, "write", options.log_path);
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
    return ErrnoStatus(errno, "make a pipe for", options.name);
  }
  const OwnedFd read_end(pipe_fds[0]);
  OwnedFd write_end(pipe_fds[1]);
  std::vector<char*> arguments = {options.binary.data()};
  for (std::string& argument : options.arguments) {
    arguments.push_back(argument.data());
  }
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "start", options.binary);
  if (pid == 0) {
    BecomeChild(options.binary.c_str(), arguments.data(), log.get(),
                write_end.get(), options.detached, parent);
  }
  write_end = OwnedFd();
  OwnedFd exit_fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const int pidfd_error = exit_fd.get() < 0 ? errno : 0;
  if (const int error = ReadExecError(read_end.get()); error != 0) {
    waitpid(pid, nullptr, 0);
    return ErrnoStatus(error, "start", options.binary);
  }
  if (pidfd_error != 0) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return ErrnoStatus(pidfd_error, "watch (Linux 5.3 is needed)",
                       options.binary);
  }
  return ChildProcess(std::move(options), pid, std::move(exit_fd));
}

ChildProcess::~ChildProcess() {
  if (exit_fd_.get() < 0 || options_.detached || wait_status_.has_value()) {
    return;
  }
  Signal(SIGKILL);
  WaitFor(absl::InfiniteDuration());
}

void ChildProcess::Signal(int signal) {
  // Until it is reaped the pid cannot be anyone else's.
  if (!wait_status_.has_value()) kill(pid_, signal);
}

bool ChildProcess::WaitFor(absl::Duration timeout) {
  if (wait_status_.has_value()) return true;
  const absl::Time deadline = SystemClock().Now() + timeout;
  while (true) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      wait_status_ = status;
      return true;
    }
    const absl::Duration left = deadline - SystemClock().Now();
    if (left <= absl::ZeroDuration()) return false;
    pollfd ended{exit_fd_.get(), POLLIN, 0};
    const int64_t millis = absl::ToInt64Milliseconds(
        std::min(left + absl::Milliseconds(1), absl::Hours(1)));
    poll(&ended, 1, static_cast<int>(millis));
  }
}

std::string ChildProcess::ending() const {
  if (!wait_status_.has_value()) return "";
  if (WIFEXITED(*wait_status_)) {
    return absl::StrCat("exited with ", WEXITSTATUS(*wait_status_));
  }
  const int signal = WTERMSIG(*wait_status_);
  return absl::StrCat("was killed by signal ", signal, " (", strsignal(signal),
                      ")");
}

std::string LastLines(const std::string& path, int lines) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return "";
  const std::vector<std::string> all =
      absl::StrSplit(*text, '\n', absl::SkipEmpty());
  const size_t skip = all.size() > static_cast<size_t>(lines)
                          ? all.size() - static_cast<size_t>(lines)
                          : 0;
  return absl::StrJoin(all.begin() + skip, all.end(), "\n",
                       [](std::string* out, const std::string& line) {
                         absl::StrAppend(out, "  ", line);
                       });
}

}  // namespace penstock
