#include "schedule/generators/loop.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"

namespace penstock {

absl::StatusOr<Schedule> OneStagePerRank(absl::string_view name,
                                         const GeneratorRequest& request) {
  if (request.num_stages != request.num_ranks) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", name, " puts one stage on each rank, got ",
        request.num_stages, " stages and ", request.num_ranks, " ranks; want ",
        request.num_stages, " ranks or ", request.num_ranks, " stages"));
  }
  Schedule schedule;
  schedule.name = std::string(name);
  schedule.num_microbatches = request.num_microbatches;
  for (int rank = 0; rank < request.num_ranks; ++rank) {
    schedule.placement.push_back({RankId(rank)});
  }
  schedule.ranks.resize(request.num_ranks);
  for (auto& actions : schedule.ranks) {
    actions.reserve(2 * static_cast<size_t>(request.num_microbatches));
  }
  return schedule;
}

}  // namespace penstock
