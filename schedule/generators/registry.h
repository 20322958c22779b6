#ifndef PENSTOCK_SCHEDULE_GENERATORS_REGISTRY_H_
#define PENSTOCK_SCHEDULE_GENERATORS_REGISTRY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Every schedule that can be asked for by name, in the order to show them.
const std::vector<GeneratorInfo>& Generators();

// INVALID_ARGUMENT, with a suggestion and the names there are, if none is
// called `name`. The pointer lives as long as the program.
absl::StatusOr<const GeneratorInfo*> FindGenerator(absl::string_view name);

// The compute actions of the schedule called `name`, stage to rank by loop
// placement (stage s on rank s mod num_ranks). Sound once lowered, for every
// request that it accepts; fewer microbatches than ranks, one microbatch and
// one rank are fine. Pure.
//
//   INVALID_ARGUMENT  unknown name, parameter or value (with a suggestion);
//                     a count below 1; a schedule of more than 10^8 actions;
//                     a number of stages that the schedule does not run on
//                     (says which it does).
absl::StatusOr<Schedule> Generate(absl::string_view name,
                                  const GeneratorRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_REGISTRY_H_
