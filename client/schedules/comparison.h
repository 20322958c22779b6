#ifndef PENSTOCK_CLIENT_SCHEDULES_COMPARISON_H_
#define PENSTOCK_CLIENT_SCHEDULES_COMPARISON_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/schedules/costs.h"
#include "client/schedules/schedule_source.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/schedule.h"
#include "schedule/planner/list_schedule.h"
#include "schedule/simulator/continuous.h"

namespace penstock {

// Schedules to be simulated under the same costs.
struct ComparisonRequest {
  // Names of generators, paths of files, "auto".
  std::vector<std::string> sources;
  // What cannot be made is a row that says why, not an error: for "all".
  bool keep_failures = false;
  // Its parameters go to the generators that have them.
  GeneratorRequest generator;
  CostRequest costs;
  // Periods of a continuous schedule.
  int periods = 4;
  LoweringChoice lowering;
  // Of "auto".
  MemoryCap cap;
  bool record_transfers = false;
  std::string working_folder;
};

struct ComparedSchedule {
  std::string name;
  // Unset: `status` says why.
  std::optional<ContinuousReport> run;
  absl::Status status;
  // Of a period where it is continuous, else of a step.
  int num_microbatches = 0;
  int num_stages = 0;
  bool is_continuous = false;
  std::vector<std::string> notes;
};

// Simulates each, in order.
//   INVALID_ARGUMENT  a parameter that none of the schedules has; unless
//                     failures are kept, the first schedule's error.
absl::StatusOr<std::vector<ComparedSchedule>> Compare(
    const ComparisonRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SCHEDULES_COMPARISON_H_
