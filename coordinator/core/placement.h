#ifndef PENSTOCK_COORDINATOR_CORE_PLACEMENT_H_
#define PENSTOCK_COORDINATOR_CORE_PLACEMENT_H_

#include <string>
#include <vector>

#include "coordinator/core/state.h"

namespace penstock {

// A queued job and what is to be done with it now.
struct PlacementDecision {
  std::string job_id;
  // Index is the rank; empty while the job has to wait.
  std::vector<std::string> server_ids;
  // What it waits for, in one line: "needs 3 stage servers, 2 idle of 2
  // registered".
  std::string reason;
};

// The queued jobs, in the order in which they get servers: those with a higher
// priority first, older ones before newer ones.
std::vector<const JobRecord*> WaitingInOrder(const ClusterState& state);

// Decides for every queued job, in that order. A job never overtakes one before
// it, even where it would fit: a large job is not starved by small ones.
// Servers with the same host identity fill neighbouring ranks; ties go by id.
// Where ranks then hold more than their servers have, they go where they fit
// (memory_fit.h).
// Pure: equal states give equal decisions.
std::vector<PlacementDecision> DecidePlacement(const ClusterState& state);

// Whether a server could take a rank now: idle, with a session, not leaving
// another job, not cordoned.
bool IsFree(const ServerRecord& server);

// What a job with this plan would wait for if it were submitted now; empty if
// it would start.
std::string WouldWaitFor(const ClusterState& state, const Plan& plan);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_PLACEMENT_H_
