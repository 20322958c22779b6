#include "schedule/generators/interleaved_zb.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/generators/grouped_order.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/rank_list.h"
#include "schedule/generators/request.h"

namespace penstock {
namespace {

constexpr char kName[] = "interleaved_zb";

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  const absl::StatusOr<GroupedOrder> order = GroupedOrder::Of(kName, request);
  if (!order.ok()) return order.status();
  RankList list(order->StagesOf(rank), request.num_microbatches);
  const int64_t warmup = std::min<int64_t>(
      request.num_ranks - rank - 1 + order->first_backward(), order->size());
  const int64_t num_pairs = order->size() - warmup;
  for (int64_t i = 0; i < warmup; ++i) list.Forward(order->ForwardChunk(i));
  for (int64_t pair = 0; pair < num_pairs; ++pair) {
    list.Forward(order->ForwardChunk(warmup + pair));
    list.Input(order->BackwardChunk(pair));
    if (pair >= rank) list.OldestWeight();
  }
  for (int64_t i = num_pairs; i < order->size(); ++i) {
    list.Input(order->BackwardChunk(i));
    list.OldestWeight();
  }
  list.AllWeights();
  return std::move(list).Take();
}

absl::StatusOr<Schedule> InterleavedZb(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, ListOf);
}

}  // namespace

GeneratorInfo InterleavedZbGenerator() {
  return {
      .name = kName,
      .source =
          "the chunk orders of Narayanan et al., Megatron-LM, 2021, section "
          "2.2.2, with the split backward of Qi et al., Zero Bubble "
          "Pipeline Parallelism, 2023, section 2.1",
      .trade =
          "zb_h1's bubble divided by the chunks v, for v times the messages",
      .update_policy = "flush",
      .chunks = kGroupedChunks,
      .parameters = {ChunksParameter(kGroupedChunks), GroupParameter()},
      .generate = InterleavedZb,
      .generate_rank = ListOf};
}

}  // namespace penstock
