#include "schedule/lowering/lower.h"

#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_updates.h"

namespace penstock {

absl::StatusOr<Schedule> MakeFlushSchedule(
    const FlushScheduleRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(
      Schedule schedule,
      Generate(request.generator, {.num_ranks = request.num_ranks,
                                   .num_stages = request.num_stages,
                                   .num_microbatches = request.num_microbatches,
                                   .parameters = request.parameters}));
  schedule.edges = request.edges;
  PENSTOCK_ASSIGN_OR_RETURN(schedule, InsertUpdates(schedule));
  return InsertCommunication(schedule);
}

}  // namespace penstock
