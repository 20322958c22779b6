#ifndef PENSTOCK_SCHEDULE_SIMULATOR_SIMULATION_FIXTURE_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_SIMULATION_FIXTURE_H_

#include <map>
#include <string>
#include <vector>

#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/simulate.h"
#include "schedule/simulator/summary.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

// For tests. What cannot be made fails the test and gives an empty value.

// The schedule of the file's text.
Schedule Parsed(const std::string& text);

// Compute actions of the named schedule over a chain of stages, v per rank.
Schedule OverChain(const std::string& generator, int p, int m, int v = 1,
                   const std::map<std::string, std::string>& parameters = {});

Timeline Simulated(const Schedule& schedule, const CostModel& costs,
                   const SimulateOptions& options = {});

TimelineSummary SummaryOf(const Schedule& schedule, const CostModel& costs);

// A flush of stages 0, 1, ... on ranks 0, 1, ... with the given lists.
Schedule OfLists(int m, std::vector<std::vector<Action>> lists);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_SIMULATION_FIXTURE_H_
