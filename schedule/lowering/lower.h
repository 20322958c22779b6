#ifndef PENSTOCK_SCHEDULE_LOWERING_LOWER_H_
#define PENSTOCK_SCHEDULE_LOWERING_LOWER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

struct FlushScheduleRequest {
  // A name of the registry of generators, and its parameters.
  std::string generator;
  std::map<std::string, std::string> parameters;
  int num_ranks = 0;
  int num_stages = 0;
  int num_microbatches = 0;
  // Of the model's partition, between stages; every stage index < num_stages.
  std::vector<Edge> edges;
};

// The schedule as a stage server runs it: generated, with the edges attached,
// updates and communication inserted, and verified before and after. Pure.
//   INVALID_ARGUMENT  from the generator (unknown name or parameter, counts),
//                     or an edge that the schedule cannot serve.
//   INTERNAL          the result does not verify; carries the violations.
absl::StatusOr<Schedule> MakeFlushSchedule(const FlushScheduleRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_LOWER_H_
