#include "schedule/generators/zbv.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/rank_list.h"

namespace penstock {
namespace {

constexpr char kName[] = "zbv";

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  const int p = request.num_ranks;
  const int m = std::max(request.num_microbatches, 2 * p - 1);
  RankList list({StageId(rank), StageId(2 * p - 1 - rank)},
                request.num_microbatches);
  for (int i = 0; i < 2 * (p - rank) - 1; ++i) list.Forward(0);
  for (int i = 0; i < rank; ++i) {
    list.Forward(1);
    list.Forward(0);
  }
  for (int i = 0; i < p - rank; ++i) {
    list.Forward(1);
    list.Input(1);
    list.Weight(1);
  }
  for (int i = 0; i < m - p; ++i) {
    list.Forward(0);
    list.Input(0);
    list.Weight(0);
    list.Forward(1);
    list.Input(1);
    list.Weight(1);
  }
  for (int i = 0; i < rank; ++i) {
    list.Input(0);
    list.Input(1);
  }
  for (int i = 0; i < p - rank; ++i) {
    list.Input(0);
    list.Weight(0);
  }
  while (list.WeightsWaiting(1) > 0) list.Weight(1);
  list.AllWeights();
  return std::move(list).Take();
}

absl::StatusOr<Schedule> Zbv(const GeneratorRequest& request) {
  return FillLists(VOutline(kName, request), request, ListOf);
}

}  // namespace

GeneratorInfo ZbvGenerator() {
  return {
      .name = kName,
      .source =
          "Qi et al., Zero Bubble Pipeline Parallelism, 2023, section 6 (ZB-V)",
      .trade =
          "zb_h2's bubble halved within 1F1B's worst memory (p "
          "microbatches), for twice the messages; wants tF = tI = tW",
      .update_policy = "flush",
      .chunks = ChunkRange{.min = 2, .max = 2, .default_value = 2},
      .generate = Zbv,
      .generate_rank = ListOf};
}

}  // namespace penstock
