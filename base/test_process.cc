#include "base/test_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"

namespace penstock {

TestProcess::TestProcess(const std::string& binary,
                         std::vector<std::string> flags) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  flags.insert(flags.begin(), binary);
  std::vector<char*> argv;
  for (std::string& flag : flags) argv.push_back(flag.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    execv(binary.c_str(), argv.data());
    _exit(127);
  }
  close(ends[1]);
  errors_ = fdopen(ends[0], "r");
}

TestProcess::~TestProcess() {
  Kill();
  fclose(errors_);
}

std::string TestProcess::WaitForLine(absl::string_view text) {
  char line[4096];
  while (fgets(line, sizeof(line), errors_) != nullptr) {
    if (absl::StrContains(line, text)) return line;
  }
  return "";
}

void TestProcess::Signal(int signal) { kill(pid_, signal); }

void TestProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(std::exchange(pid_, 0), nullptr, 0);
}

std::pair<std::string, int> TestProcess::Wait() {
  std::string rest;
  char buffer[4096];
  size_t got = 0;
  while ((got = fread(buffer, 1, sizeof(buffer), errors_)) > 0) {
    rest.append(buffer, got);
  }
  int status = 0;
  waitpid(std::exchange(pid_, 0), &status, 0);
  return {rest, WIFEXITED(status) ? WEXITSTATUS(status) : -1};
}

}  // namespace penstock
