#include "schedule/generators/gpipe.h"

#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/generators/loop.h"

namespace penstock {
namespace {

constexpr char kName[] = "gpipe";

absl::StatusOr<Schedule> GenerateGpipe(const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule, OneStagePerRank(kName, request));
  const bool lifo = request.parameters.at("order") == "lifo";
  const int m = schedule.num_microbatches;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<Action>& actions = schedule.ranks[rank];
    for (int b = 0; b < m; ++b) {
      actions.push_back(Forward(StageId(rank), MicrobatchId(b)));
    }
    for (int b = 0; b < m; ++b) {
      actions.push_back(
          Backward(StageId(rank), MicrobatchId(lifo ? m - 1 - b : b)));
    }
  }
  return schedule;
}

}  // namespace

GeneratorInfo GpipeGenerator() {
  return {.name = kName,
          .source =
              "Huang et al., GPipe: Efficient Training of Giant Neural "
              "Networks using Pipeline Parallelism, 2019, section 2.3",
          .trade = "a bubble of (p-1)/(m+p-1) for all m microbatches in flight",
          .update_policy = "flush",
          .parameters = {{.name = "order",
                          .description = "backwards in the forwards' order "
                                         "(fifo) or its reverse (lifo)",
                          .values = {"fifo", "lifo"},
                          .default_value = "fifo"}},
          .generate = GenerateGpipe};
}

}  // namespace penstock
