#include "schedule/generators/outline.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

Schedule Named(absl::string_view name, const GeneratorRequest& request) {
  Schedule schedule;
  schedule.name = std::string(name);
  schedule.num_microbatches = request.num_microbatches;
  schedule.ranks.resize(request.num_ranks);
  return schedule;
}

}  // namespace

Schedule LoopOutline(absl::string_view name, const GeneratorRequest& request) {
  Schedule schedule = Named(name, request);
  for (int stage = 0; stage < request.num_stages; ++stage) {
    schedule.placement.push_back({RankId(stage % request.num_ranks)});
  }
  return schedule;
}

Schedule VOutline(absl::string_view name, const GeneratorRequest& request) {
  Schedule schedule = Named(name, request);
  const int p = request.num_ranks;
  for (int stage = 0; stage < 2 * p; ++stage) {
    schedule.placement.push_back({RankId(std::min(stage, 2 * p - 1 - stage))});
  }
  return schedule;
}

absl::StatusOr<Schedule> FillLists(
    Schedule outline, const GeneratorRequest& request,
    absl::StatusOr<std::vector<Action>> (*list_of)(const GeneratorRequest&,
                                                   int rank)) {
  for (int rank = 0; rank < outline.num_ranks(); ++rank) {
    PENSTOCK_ASSIGN_OR_RETURN(outline.ranks[rank], list_of(request, rank));
  }
  return outline;
}

}  // namespace penstock
