#ifndef PENSTOCK_CLIENT_COMMANDS_SCHEDULE_FLAGS_H_
#define PENSTOCK_CLIENT_COMMANDS_SCHEDULE_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/command_line.h"
#include "client/environment.h"
#include "client/schedules/comparison.h"
#include "schedule/simulator/run_view.h"

namespace penstock {

// The flags that schedules are generated and simulated by.
struct ScheduleFlags {
  int ranks = 4;
  std::vector<int> replicas;
  std::string rank_order;
  int stages = 0;
  int microbatches = 8;
  std::vector<std::string> parameters;
  LoweringChoice lowering;
  int periods = 4;

  UniformTimes times;
  double action_overhead = 0;
  double pair_gain = 0;
  std::string profile;
};

void AddGeneratorFlags(Command command, ScheduleFlags& flags);
// How much of it is run, and the costs.
void AddRunFlags(Command command, ScheduleFlags& flags);

// `-o a|b|c`, the first by default; `output` holds the word.
void AddOutputWords(Command command, std::string& output,
                    const std::vector<std::string>& words);

// A request without sources. INVALID_ARGUMENT for a bad parameter or profile.
absl::StatusOr<ComparisonRequest> RequestOf(const ScheduleFlags& flags,
                                            const Environment& environment);

// Those that could be simulated. Borrows.
std::vector<RunView> RunsOf(const std::vector<ComparedSchedule>& schedules);

// While it lives, Ctrl-C ends the process: there is nothing to clean up, and a
// big schedule takes its time.
Interrupt::Registration EndOnInterrupt(const Environment& environment);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_COMMANDS_SCHEDULE_FLAGS_H_
