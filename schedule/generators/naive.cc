#include "schedule/generators/naive.h"

#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/rank_list.h"

namespace penstock {
namespace {

constexpr char kName[] = "naive";

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  RankList list({StageId(rank)}, request.num_microbatches);
  while (list.ForwardsLeft(0) > 0) {
    list.Forward(0);
    list.Backward(0);
  }
  return std::move(list).Take();
}

absl::StatusOr<Schedule> Naive(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, ListOf);
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
          .generate = Naive,
          .generate_rank = ListOf};
}

}  // namespace penstock
