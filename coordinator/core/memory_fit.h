#ifndef PENSTOCK_COORDINATOR_CORE_MEMORY_FIT_H_
#define PENSTOCK_COORDINATOR_CORE_MEMORY_FIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/core/state.h"
#include "proto/plan.pb.h"

namespace penstock {

// Whether what ranks are expected to hold (Plan.predicted_memory) fits the
// servers that run them. A rank or a server whose memory is not known fits.
// All pure.

// For a job that is submitted.
//   FAILED_PRECONDITION  some rank has no place on any server that there is,
//                        which all have told their memory; has a table of what
//                        each rank holds, and what would need less.
absl::Status CheckMemory(const ClusterState& state, const Plan& plan);

// Servers for the plan's ranks, by rank, of those in `free`, best first: the
// first ones in their order if each rank then fits, else with the ranks that
// hold the most going first. Empty where there is no way to place all so.
// Requires: as many in `free` as the plan has ranks.
std::vector<const ServerRecord*> FitByMemory(
    const Plan& plan, const std::vector<const ServerRecord*>& free);

// "950 B", "12.3 KiB", "1.25 GiB".
std::string MemoryText(int64_t bytes);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_MEMORY_FIT_H_
