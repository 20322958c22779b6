#ifndef PENSTOCK_SCHEDULE_GENERATORS_BREADTH_FIRST_H_
#define PENSTOCK_SCHEDULE_GENERATORS_BREADTH_FIRST_H_

#include <vector>

#include "absl/status/statusor.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/action.h"

namespace penstock {

// The list of a rank in loop placement that takes all microbatches through one
// chunk before the next: forwards from the first chunk to the last, then
// backwards from the last to the first. Never fails.
absl::StatusOr<std::vector<Action>> BreadthFirstList(
    const GeneratorRequest& request, int rank);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_BREADTH_FIRST_H_
