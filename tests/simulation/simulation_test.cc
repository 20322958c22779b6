// Two thousand seeds of five hundred events each: docs/simulation.md.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/shrink.h"
#include "tests/simulation/world.h"

namespace penstock::simulation {
namespace {

constexpr uint64_t kSeeds = 2000;
constexpr uint64_t kSeedsPerTest = 250;
constexpr int kEvents = 500;

class SeedsTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SeedsTest, EveryInvariantHolds) {
  for (uint64_t seed = GetParam(); seed < GetParam() + kSeedsPerTest; ++seed) {
    const Scenario scenario = RandomScenario(seed, kEvents);
    const RunResult result = RunScenario(scenario);
    ASSERT_FALSE(result.violation)
        << "seed " << seed << ": " << result.violation->invariant << ": "
        << result.violation->what << "\n"
        << Explain(scenario, {});
  }
}

INSTANTIATE_TEST_SUITE_P(All, SeedsTest,
                         ::testing::Range(uint64_t{0}, kSeeds, kSeedsPerTest));

}  // namespace
}  // namespace penstock::simulation
