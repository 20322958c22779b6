#ifndef PENSTOCK_SCHEDULE_GENERATORS_LOOP_H_
#define PENSTOCK_SCHEDULE_GENERATORS_LOOP_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// A schedule called `name` with the request's counts, one stage on each rank
// (loop placement with one chunk) and empty lists.
//   INVALID_ARGUMENT  num_stages is not num_ranks; says both.
absl::StatusOr<Schedule> OneStagePerRank(absl::string_view name,
                                         const GeneratorRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_LOOP_H_
