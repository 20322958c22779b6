#ifndef PENSTOCK_SCHEDULE_LOWERING_INSERT_UPDATES_H_
#define PENSTOCK_SCHEDULE_LOWERING_INSERT_UPDATES_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Ends each rank's list with what makes a flush an update: one N (the
// agreement of all ranks on the gradient's norm), then U of each of the rank's
// stages, ascending. Runs before communication is inserted. Pure.
//   INVALID_ARGUMENT  the schedule has an N or U already, or places a stage on
//                     no rank or on one that does not exist.
absl::StatusOr<Schedule> InsertUpdates(Schedule schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_INSERT_UPDATES_H_
