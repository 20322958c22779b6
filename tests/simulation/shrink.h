#ifndef PENSTOCK_TESTS_SIMULATION_SHRINK_H_
#define PENSTOCK_TESTS_SIMULATION_SHRINK_H_

#include <string>

#include "tests/simulation/scenario.h"
#include "tests/simulation/world.h"

namespace penstock::simulation {

// A scenario with fewer actions, jobs and events that breaks the same
// invariant: what can be left out one by one, or in parts, is (Zeller and
// Hildebrandt 2002). Runs it `most_runs` times at most.
// Requires: `failing` breaks one.
Scenario Shrink(const Scenario& failing, const RunOptions& options,
                int most_runs = 400);

// What a person needs of a run that has broken an invariant: what did not hold,
// and the scenario as a text that can be kept, shrunk.
std::string Explain(const Scenario& failing, const RunOptions& options);

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_SHRINK_H_
