// The command line: gathers what the system gives and runs the CLI.

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "checkpoint/transfer/grpc_log.h"
#include "client/cli.h"
#include "client/environment.h"
#include "client/interrupt.h"

namespace {

// Blocked in every thread and taken by one, so that nothing runs in a signal
// handler. Must come before the first thread.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void TripOnSignals(sigset_t signals, penstock::Interrupt* interrupt) {
  // Whoever asks so often wants out whatever it costs.
  constexpr int kLast = 4;
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (interrupt->count() + 1 >= kLast) _exit(128 + signal);
    interrupt->Trip();
  }
}

int TerminalColumns() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      return size.ws_col;
    }
  }
  return 80;
}

std::string RandomKey() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(),
                         random());
}

}  // namespace

int main(int argc, char** argv) {
  const sigset_t signals = BlockStopSignals();
  // Outlives main: the thread that trips it is never joined.
  auto* const interrupt = new penstock::Interrupt();
  std::thread([signals, interrupt] {
    TripOnSignals(signals, interrupt);
  }).detach();

  penstock::Environment environment;
  environment.out = &std::cout;
  environment.err = &std::cerr;
  environment.out_is_terminal = isatty(STDOUT_FILENO) != 0;
  environment.err_is_terminal = isatty(STDERR_FILENO) != 0;
  environment.columns = TerminalColumns;
  for (const char* name : {"PENSTOCK_COORDINATOR", "PENSTOCK_TLS_DIR", "HOME",
                           "XDG_CONFIG_HOME", "XDG_STATE_HOME"}) {
    const char* const value = getenv(name);
    if (value != nullptr) environment.variables[name] = value;
  }
  std::error_code error;
  environment.executable =
      std::filesystem::read_symlink("/proc/self/exe", error).string();
  environment.working_folder = std::filesystem::current_path(error).string();
  environment.clock = &penstock::SystemClock();
  environment.time_zone = absl::LocalTimeZone();
  environment.interrupt = interrupt;
  environment.new_key = RandomKey;
  // Errors of commands say what gRPC would print beside them.
  penstock::TakeGrpcLog(nullptr, nullptr);
  const penstock::ExitCode code = penstock::RunCli(
      std::vector<std::string>(argv + 1, argv + argc), environment);
  std::cout.flush();
  return static_cast<int>(code);
}
