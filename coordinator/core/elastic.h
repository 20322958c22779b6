#ifndef PENSTOCK_COORDINATOR_CORE_ELASTIC_H_
#define PENSTOCK_COORDINATOR_CORE_ELASTIC_H_

#include "coordinator/core/turn.h"

namespace penstock {

// Jobs whose number of stages follows the servers that there are. Parts of
// `Step`.

// Gives the job that is next to be placed a plan for the servers that are
// idle, if it is elastic and starts again: of as many stages as they can run,
// but of elastic.max_stages at most and elastic.min_stages at least. It gets
// fewer stages than it had only where there have been too few servers for some
// seconds.
void FitPlanToServers(Turn& turn);

// Ends the epoch of a running job with elastic.grow whose checkpoint has just
// become complete, if it could have more stages with the servers that are idle
// now, and no other job waits for servers. False, and no change, if not.
bool GrowAtCheckpoint(JobRecord& job, Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_ELASTIC_H_
