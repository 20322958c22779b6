#include "schedule/generators/zb_h1.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/rank_list.h"

namespace penstock {
namespace {

constexpr char kName[] = "zb_h1";

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  const int m = request.num_microbatches;
  const int warmup = std::min(request.num_ranks - 1 - rank, m);
  RankList list({StageId(rank)}, m);
  for (int i = 0; i < warmup; ++i) list.Forward(0);
  for (int pair = 0; pair < m - warmup; ++pair) {
    list.Forward(0);
    list.Input(0);
    if (pair >= rank) list.OldestWeight();
  }
  while (list.InputsLeft(0) > 0) {
    list.Input(0);
    list.OldestWeight();
  }
  list.AllWeights();
  return std::move(list).Take();
}

absl::StatusOr<Schedule> ZbH1(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, ListOf);
}

}  // namespace

GeneratorInfo ZbH1Generator() {
  return {
      .name = kName,
      .source =
          "Qi et al., Zero Bubble Pipeline Parallelism, 2023, section 2.1",
      .trade =
          "a third of 1F1B's bubble at equal times, for its worst memory (p "
          "microbatches) on every rank",
      .update_policy = "flush",
      .generate = ZbH1,
      .generate_rank = ListOf};
}

}  // namespace penstock
