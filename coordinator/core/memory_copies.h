#ifndef PENSTOCK_COORDINATOR_CORE_MEMORY_COPIES_H_
#define PENSTOCK_COORDINATOR_CORE_MEMORY_COPIES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/state.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// What of a job's state is in stage servers' memory, by what they have told.
// Pure.

// A state of which some server that can be heard holds each rank's part.
struct MemorySnapshot {
  // Of the ranks that have written it.
  int64_t epoch = 0;
  int64_t step = 0;
  // Of the part that fewest servers hold.
  int copies = 0;
};

// Whether the job keeps its state in memory.
bool KeepsMemory(const JobRecord& job);

// The one of the furthest step, before the job's last: a job that has made that
// is to keep a checkpoint. Not one that was not there when it was needed.
std::optional<MemorySnapshot> NewestInMemory(const ClusterState& state,
                                             const JobRecord& job);

// Where its parts are, by rank, each once. Those that no server holds any more
// are missing.
std::vector<MemoryRestore::Part> PartsInMemory(const ClusterState& state,
                                               const CheckpointId& id);

// What tells two shapes of a job apart: equal if each rank has the same state.
std::string ShapeOf(const Plan& plan);

// For people; unset for a job that keeps nothing in memory.
std::optional<MemoryProgress> DescribeMemory(const ClusterState& state,
                                             const JobRecord& job);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_MEMORY_COPIES_H_
