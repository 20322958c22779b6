// Runs scenarios: many from seeds, or one from a file.
//
//   simulation --first=0 --seeds=1000 --events=500
//   simulation --scenario=FILE [--trace]
//   simulation --first=7 --seeds=1 --trace
//
// Prints the first one that breaks an invariant, shrunk, as a text that
// `--scenario` runs and tests/simulation/scenarios keeps. Exits with 1 then.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/shrink.h"
#include "tests/simulation/world.h"

namespace penstock::simulation {
namespace {

struct Flags {
  uint64_t first = 0;
  uint64_t seeds = 1000;
  int events = 500;
  std::string scenario;
  bool trace = false;
  bool shrink = true;
  bool planted = false;
  bool summary = false;
};

bool Parse(int argc, char** argv, Flags& flags) {
  for (int i = 1; i < argc; ++i) {
    absl::string_view word = argv[i];
    if (word == "--trace") {
      flags.trace = true;
    } else if (word == "--no-shrink") {
      flags.shrink = false;
    } else if (word == "--planted") {
      flags.planted = true;
    } else if (word == "--summary") {
      flags.summary = true;
    } else if (absl::ConsumePrefix(&word, "--scenario=")) {
      flags.scenario = std::string(word);
    } else if (absl::ConsumePrefix(&word, "--first=")) {
      if (!absl::SimpleAtoi(word, &flags.first)) return false;
    } else if (absl::ConsumePrefix(&word, "--seeds=")) {
      if (!absl::SimpleAtoi(word, &flags.seeds)) return false;
    } else if (absl::ConsumePrefix(&word, "--events=")) {
      if (!absl::SimpleAtoi(word, &flags.events)) return false;
    } else {
      return false;
    }
  }
  return true;
}

// Whether it holds.
bool RunOne(const Scenario& scenario, const Flags& flags,
            std::map<std::string, int64_t>& seen) {
  std::vector<std::string> trace;
  RunOptions options;
  options.rewrites_fences = flags.planted;
  if (flags.trace) options.trace = &trace;
  const RunResult result = RunScenario(scenario, options);
  for (const std::string& line : trace) std::printf("%s\n", line.c_str());
  for (const auto& [what, count] : result.seen) seen[what] += count;
  seen["events"] += result.events;
  if (!result.violation) return true;
  std::printf(
      "seed %llu: %s: %s\n", static_cast<unsigned long long>(scenario.seed),
      result.violation->invariant.c_str(), result.violation->what.c_str());
  if (flags.shrink) {
    options.trace = nullptr;
    std::printf("%s", Explain(scenario, options).c_str());
  }
  return false;
}

int Main(int argc, char** argv) {
  Flags flags;
  if (!Parse(argc, argv, flags)) {
    std::fprintf(stderr,
                 "simulation: unknown flag; see the head of "
                 "tests/simulation/simulation_main.cc\n");
    return 2;
  }
  std::map<std::string, int64_t> seen;
  int failed = 0;
  if (!flags.scenario.empty()) {
    std::ifstream file(flags.scenario);
    std::stringstream text;
    text << file.rdbuf();
    const auto scenario = ParseScenario(text.str());
    if (!file || !scenario.ok()) {
      std::fprintf(stderr, "simulation: %s: %s\n", flags.scenario.c_str(),
                   std::string(scenario.status().message()).c_str());
      return 2;
    }
    failed += RunOne(*scenario, flags, seen) ? 0 : 1;
  } else {
    for (uint64_t seed = flags.first; seed < flags.first + flags.seeds;
         ++seed) {
      failed += RunOne(RandomScenario(seed, flags.events), flags, seen) ? 0 : 1;
    }
  }
  if (flags.summary) {
    for (const auto& [what, count] : seen) {
      std::printf("%12lld %s\n", static_cast<long long>(count), what.c_str());
    }
  }
  std::printf("simulation: seeds %llu to %llu, %d broke an invariant\n",
              static_cast<unsigned long long>(flags.first),
              static_cast<unsigned long long>(flags.first + flags.seeds - 1),
              failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace penstock::simulation

int main(int argc, char** argv) {
  return penstock::simulation::Main(argc, argv);
}
