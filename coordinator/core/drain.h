#ifndef PENSTOCK_COORDINATOR_CORE_DRAIN_H_
#define PENSTOCK_COORDINATOR_CORE_DRAIN_H_

#include "coordinator/core/turn.h"

namespace penstock {

// Jobs leave servers that are to be drained. Part of `Step`.

// Has the job begin to leave a server that is DRAINING or that is to end, if it
// has a rank on one, can do so now, and does not yet. A job without
// checkpoints, and one that loads and may not be started again, is let go on.
void LeaveDrained(JobRecord& job, Turn& turn);

// Ends the epochs of jobs that still have a rank on a server whose
// drain_deadline_unix_nanos is over.
void EndOverdueDrains(Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_DRAIN_H_
