#include "tests/simulation/shrink.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace penstock::simulation {
namespace {

class Shrinker {
 public:
  Shrinker(const Scenario& failing, const RunOptions& options, int most_runs)
      : best_(failing), options_({options.rewrites_fences, nullptr}) {
    const RunResult result = RunScenario(failing, options_);
    invariant_ = result.violation->invariant;
    best_.events = std::min(best_.events, result.events);
    runs_left_ = most_runs;
  }

  Scenario Run() {
    size_t part = best_.actions.size();
    while (part >= 1 && runs_left_ > 0) {
      bool is_smaller = false;
      for (size_t at = 0; at < best_.actions.size() && runs_left_ > 0;) {
        Scenario smaller = best_;
        const auto first = smaller.actions.begin() + static_cast<int64_t>(at);
        const auto last =
            smaller.actions.begin() +
            static_cast<int64_t>(std::min(at + part, smaller.actions.size()));
        smaller.actions.erase(first, last);
        if (Keep(std::move(smaller))) {
          is_smaller = true;
        } else {
          at += part;
        }
      }
      if (!is_smaller || part > 1) part /= 2;
    }
    DropJobs();
    DropEvents();
    return best_;
  }

 private:
  // Makes it the best one if it fails too.
  bool Keep(Scenario smaller) {
    if (runs_left_-- <= 0) return false;
    const RunResult result = RunScenario(smaller, options_);
    if (!result.violation || result.violation->invariant != invariant_) {
      return false;
    }
    best_ = std::move(smaller);
    return true;
  }

  void DropJobs() {
    for (size_t i = 0; i < best_.jobs.size();) {
      const std::string name = best_.jobs[i].name;
      const bool is_used = std::any_of(
          best_.actions.begin(), best_.actions.end(),
          [&name](const Action& action) { return action.target == name; });
      Scenario smaller = best_;
      smaller.jobs.erase(smaller.jobs.begin() + static_cast<int64_t>(i));
      if (is_used || !Keep(std::move(smaller))) ++i;
    }
  }

  void DropEvents() {
    for (int step = best_.events / 2; step >= 10; step /= 2) {
      Scenario smaller = best_;
      smaller.events -= step;
      if (smaller.events > 0) Keep(std::move(smaller));
    }
  }

  Scenario best_;
  const RunOptions options_;
  std::string invariant_;
  int runs_left_ = 0;
};

}  // namespace

Scenario Shrink(const Scenario& failing, const RunOptions& options,
                int most_runs) {
  return Shrinker(failing, options, most_runs).Run();
}

std::string Explain(const Scenario& failing, const RunOptions& options) {
  const Scenario small = Shrink(failing, options);
  const RunResult result = RunScenario(small, {options.rewrites_fences});
  const Violation violation = result.violation.value_or(Violation());
  return absl::StrCat("# ", violation.invariant, "\n# ", violation.what,
                      "\n# from seed ", failing.seed, " with ",
                      failing.actions.size(), " actions\n", ToText(small));
}

}  // namespace penstock::simulation
