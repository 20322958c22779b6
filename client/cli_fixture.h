#ifndef PENSTOCK_CLIENT_CLI_FIXTURE_H_
#define PENSTOCK_CLIENT_CLI_FIXTURE_H_

#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "client/cli.h"
#include "client/environment.h"
#include "client/follow/fake_coordinator.h"
#include "client/interrupt.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock {

// For tests: runs the program in this process, in an empty folder of its own.
class CliFixture : public ::testing::Test {
 protected:
  CliFixture() {
    // Normal, as the paths that the program prints.
    folder_ = (std::filesystem::path(::testing::TempDir()) /
               ::testing::UnitTest::GetInstance()->current_test_info()->name())
                  .lexically_normal();
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
  }

  std::string Path(const std::string& name) const {
    return absl::StrCat(folder_, "/", name);
  }
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(Path(name), content).ok());
  }
  // job.yaml, and text.bin that it names.
  void WriteJob() {
    Write("text.bin", std::string(4000, '\0'));
    Write("job.yaml",
          "model: {preset: gpt-nano}\ndata: {tokens: text.bin}\n"
          "steps: 3\npartition: {stages: 2}\n");
  }

  // The exit code.
  int Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    environment_.out = &out_;
    environment_.err = &err_;
    environment_.working_folder = folder_;
    environment_.executable = Path("bin/penstock");
    environment_.clock = &SystemClock();
    environment_.interrupt = &interrupt_;
    environment_.new_key = [this] { return absl::StrCat("key-", ++keys_); };
    return static_cast<int>(RunCli(arguments, environment_));
  }
  int RunAgainst(const FakeCoordinator& coordinator,
                 std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--coordinator", coordinator.address()});
    return Run(arguments);
  }
  // What the last run printed.
  nlohmann::json Json() const { return nlohmann::json::parse(out_.str()); }

  std::string folder_;
  Environment environment_;
  Interrupt interrupt_;
  std::ostringstream out_;
  std::ostringstream err_;
  int keys_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_CLI_FIXTURE_H_
