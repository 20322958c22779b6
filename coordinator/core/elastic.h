#ifndef PENSTOCK_COORDINATOR_CORE_ELASTIC_H_
#define PENSTOCK_COORDINATOR_CORE_ELASTIC_H_

#include "coordinator/core/turn.h"

namespace penstock {

// Gives the job that is next to be placed a plan for the servers that are
// idle, if it is elastic and lost a server: of partition.stages stages, or,
// where there have been too few servers for some seconds, of as many as they
// can run, but of elastic.min_stages at least. Part of `Step`.
void FitPlanToServers(Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_ELASTIC_H_
