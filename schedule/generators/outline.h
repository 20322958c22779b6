#ifndef PENSTOCK_SCHEDULE_GENERATORS_OUTLINE_H_
#define PENSTOCK_SCHEDULE_GENERATORS_OUTLINE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/action.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// A schedule called `name` with the request's counts and empty lists, stage
// c * p + r on rank r: chunk c of the rank (loop placement).
Schedule LoopOutline(absl::string_view name, const GeneratorRequest& request);

// The same with two chunks on each rank, stages r and 2p-1-r (V placement), so
// that the first and the last stage meet on rank 0.
Schedule VOutline(absl::string_view name, const GeneratorRequest& request);

// The outline with every list made by `list_of`, one rank after another.
absl::StatusOr<Schedule> FillLists(
    Schedule outline, const GeneratorRequest& request,
    absl::StatusOr<std::vector<Action>> (*list_of)(const GeneratorRequest&,
                                                   int rank));

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_OUTLINE_H_
