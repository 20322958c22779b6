#ifndef PENSTOCK_COORDINATOR_CORE_DESIRED_STATE_H_
#define PENSTOCK_COORDINATOR_CORE_DESIRED_STATE_H_

#include <optional>
#include <string>

#include "coordinator/core/state.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// What a server should be doing, by the state alone: level-triggered, so it
// can be asked for again whenever a session opens. Sequence number unset.
// Requires: the server is known.
CoordinatorMessage DesiredOf(const ClusterState& state,
                             const std::string& server_id);

// What of the server's reports the state holds; durable once the state is.
// Nothing for a server that is in no job.
std::optional<CoordinatorMessage> AckOf(const ClusterState& state,
                                        const std::string& server_id);

// What peers of one epoch show each other: 32 bytes, the same after a restart
// of the coordinator.
std::string EpochSecret(const ClusterState& state, const JobRecord& job);

// The address of the TransferService that keeps a copy of `rank`'s state: of
// the next rank whose server is on another host. Empty where there is none.
std::string MemoryPeerOf(const ClusterState& state, const JobRecord& job,
                         int rank);

// The plan with every action list but `rank`'s emptied, those of a period and
// an epilogue too.
Plan PlanForRank(const Plan& plan, int rank);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_DESIRED_STATE_H_
