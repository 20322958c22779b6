#ifndef PENSTOCK_SCHEDULE_LOWERING_INSERT_UPDATES_H_
#define PENSTOCK_SCHEDULE_LOWERING_INSERT_UPDATES_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Inserts the updates of the weights. Runs after reductions, before
// communication is inserted. Pure; linear.
//
// Flush: each rank's list ends with one N (the agreement of all ranks on the
// gradient's norm), then U of each of the rank's stages, ascending.
//
// Continuous: no N, since the ranks never meet. U of a stage on one rank, which
// names the version that it makes, right after the last backward that counts
// for it. U of a stage on several ranks waits for their reduction, so it stands
// as late as it can: right before the first F of this rank that reads the
// version; if none does, before the stage's next backward in the epilogue, or
// at its end. Updates of one period come before those of the next, whatever
// their stages.
//   INVALID_ARGUMENT  the schedule has an N or U already; see also
//                     update_points.h.
absl::StatusOr<Schedule> InsertUpdates(Schedule schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_INSERT_UPDATES_H_
