#include "schedule/generators/naive.h"

#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/generators/loop.h"

namespace penstock {
namespace {

constexpr char kName[] = "naive";

absl::StatusOr<Schedule> GenerateNaive(const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule, OneStagePerRank(kName, request));
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (int b = 0; b < schedule.num_microbatches; ++b) {
      schedule.ranks[rank].push_back(Forward(StageId(rank), MicrobatchId(b)));
      schedule.ranks[rank].push_back(Backward(StageId(rank), MicrobatchId(b)));
    }
  }
  return schedule;
}

}  // namespace

GeneratorInfo NaiveGenerator() {
  return {.name = kName,
          .source =
              "inter-layer model parallelism; Huang et al., GPipe, 2019, "
              "figure 2b; Narayanan et al., PipeDream, 2019, figure 2",
          .trade =
              "least memory (one microbatch in flight) for a bubble of "
              "(p-1)/p; a baseline, not a choice",
          .update_policy = "flush",
          .generate = GenerateNaive};
}

}  // namespace penstock
