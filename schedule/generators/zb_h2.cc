#include "schedule/generators/zb_h2.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/rank_list.h"

namespace penstock {
namespace {

constexpr char kName[] = "zb_h2";

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  const int m = request.num_microbatches;
  const int warmup = std::min(2 * (request.num_ranks - rank) - 1, m);
  RankList list({StageId(rank)}, m);
  for (int i = 0; i < warmup; ++i) list.Forward(0);
  for (int b = 0; b < m; ++b) {
    list.Input(0);
    if (list.WeightsWaiting() > 2 * rank) list.OldestWeight();
    list.Forward(0);
  }
  list.AllWeights();
  return std::move(list).Take();
}

absl::StatusOr<Schedule> ZbH2(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, ListOf);
}

}  // namespace

GeneratorInfo ZbH2Generator() {
  return {
      .name = kName,
      .source =
          "Qi et al., Zero Bubble Pipeline Parallelism, 2023, section 2.2",
      .trade =
          "no bubble between a rank's first and last action at equal times, "
          "for 2p-1 microbatches in flight; a global norm brings zb_h1's "
          "bubble back",
      .update_policy = "flush",
      .generate = ZbH2,
      .generate_rank = ListOf};
}

}  // namespace penstock
