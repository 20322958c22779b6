#ifndef PENSTOCK_SCHEDULE_LOWERING_INSERT_REDUCTIONS_H_
#define PENSTOCK_SCHEDULE_LOWERING_INSERT_REDUCTIONS_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Inserts G of every stage that several ranks hold, on each of them: right
// after the rank's last backward that counts for an update, so that the
// reduction runs beside what follows. G starts the reduction and never blocks;
// N of a flush, U of a continuous schedule (G then names the version that the
// update makes), and SB* of a tied weight wait for it. A rank that has no
// microbatch for an update has its G all the same: its part is nothing.
//
// Runs before updates and communication are inserted. Pure; linear.
//   INVALID_ARGUMENT  a G is there already; see also update_points.h.
absl::StatusOr<Schedule> InsertReductions(Schedule schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_INSERT_REDUCTIONS_H_
