#ifndef PENSTOCK_BASE_TEST_PROCESS_H_
#define PENSTOCK_BASE_TEST_PROCESS_H_

#include <stdio.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock {

// For tests: one run of a binary of ours; what it prints to stderr comes line
// by line. Used by one thread. Destroying it kills the process.
class TestProcess {
 public:
  // `binary` is a path from where the test runs. One that cannot be run exits
  // with 127.
  TestProcess(const std::string& binary, std::vector<std::string> flags);
  TestProcess(const TestProcess&) = delete;
  TestProcess& operator=(const TestProcess&) = delete;
  ~TestProcess();

  // The first line with `text` in it; empty if the process ends before.
  std::string WaitForLine(absl::string_view text);

  void Signal(int signal);
  // SIGKILL, and waits for its end. Nothing if it has ended.
  void Kill();
  // Everything left on stderr, and the exit status; -1 if a signal ended it.
  std::pair<std::string, int> Wait();

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
  FILE* errors_ = nullptr;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_TEST_PROCESS_H_
