// Scenarios that once broke an invariant, and what they showed: each is a text
// in tests/simulation/scenarios.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "gtest/gtest.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/world.h"

namespace penstock::simulation {
namespace {

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator("tests/simulation/scenarios")) {
    names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ScenariosTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenariosTest, Holds) {
  const auto text =
      ReadFile("tests/simulation/scenarios/" + GetParam() + ".txt");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto scenario = ParseScenario(*text);
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  const RunResult result = RunScenario(*scenario);
  EXPECT_FALSE(result.violation)
      << result.violation->invariant << ": " << result.violation->what;
}

INSTANTIATE_TEST_SUITE_P(Kept, ScenariosTest, ::testing::ValuesIn(Names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace penstock::simulation
