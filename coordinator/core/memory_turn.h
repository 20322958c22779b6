#ifndef PENSTOCK_COORDINATOR_CORE_MEMORY_TURN_H_
#define PENSTOCK_COORDINATOR_CORE_MEMORY_TURN_H_

#include <cstdint>

#include "coordinator/core/turn.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// Keeping jobs' state in stage servers' memory. Part of `Step`.

// The job's new epoch is to keep its state in memory, if the job does. Says so
// once where copies would be on the same host.
void BeginMemory(JobRecord& job, Turn& turn);

// What a server holds now. Doubles the interval of its job where keeping it has
// cost more than a hundredth of the time lately.
void OnMemory(const MemoryReport& report, int64_t epoch, ServerRecord& server,
              Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_MEMORY_TURN_H_
