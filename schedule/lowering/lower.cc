#include "schedule/lowering/lower.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_reductions.h"
#include "schedule/lowering/insert_updates.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

absl::Status CheckSound(const Schedule& schedule, bool lowered) {
  const absl::Status status =
      SoundOrError(schedule, Verify(schedule, {.lowered = lowered}));
  if (status.ok()) return status;
  return absl::InternalError(
      absl::StrCat(lowered ? "lowered " : "generated ", status.message()));
}

}  // namespace

absl::StatusOr<Schedule> MakeFlushSchedule(
    const FlushScheduleRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(
      Schedule schedule,
      Generate(request.generator, {.num_ranks = request.num_ranks,
                                   .num_stages = request.num_stages,
                                   .num_microbatches = request.num_microbatches,
                                   .parameters = request.parameters}));
  if (schedule.is_continuous()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule.name,
        " does not flush: it runs on from one update to the next; want one "
        "whose update policy is flush"));
  }
  schedule.edges = request.edges;
  // First, because they tell a bad edge apart from a bad schedule.
  PENSTOCK_ASSIGN_OR_RETURN(Schedule lowered, InsertReductions(schedule));
  PENSTOCK_ASSIGN_OR_RETURN(lowered, InsertUpdates(std::move(lowered)));
  PENSTOCK_ASSIGN_OR_RETURN(lowered, InsertCommunication(std::move(lowered)));
  PENSTOCK_RETURN_IF_ERROR(CheckSound(schedule, /*lowered=*/false));
  PENSTOCK_RETURN_IF_ERROR(CheckSound(lowered, /*lowered=*/true));
  return lowered;
}

}  // namespace penstock
