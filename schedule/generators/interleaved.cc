#include "schedule/generators/interleaved.h"

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

constexpr char kName[] = "interleaved";

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  const absl::StatusOr<GroupedOrder> order = GroupedOrder::Of(kName, request);
  if (!order.ok()) return order.status();
  RankList list(order->StagesOf(rank), request.num_microbatches);
  const int64_t warmup = std::min<int64_t>(
      2 * int64_t{request.num_ranks - rank - 1} + order->first_backward(),
      order->size());
  for (int64_t i = 0; i < warmup; ++i) list.Forward(order->ForwardChunk(i));
  for (int64_t i = 0; i < order->size(); ++i) {
    if (warmup + i < order->size()) {
      list.Forward(order->ForwardChunk(warmup + i));
    }
    list.Backward(order->BackwardChunk(i));
  }
  return std::move(list).Take();
}

absl::StatusOr<Schedule> Interleaved(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, ListOf);
}

}  // namespace

GeneratorInfo InterleavedGenerator() {
  return {.name = kName,
          .source =
              "Narayanan et al., Efficient Large-Scale Language Model "
              "Training on GPU Clusters Using Megatron-LM, 2021, section "
              "2.2.2",
          .trade =
              "1F1B's bubble divided by the chunks v, for v times the "
              "messages and (p-1)(1+1/v)+1/v microbatches in flight",
          .update_policy = "flush",
          .chunks = kGroupedChunks,
          .parameters = {ChunksParameter(kGroupedChunks), GroupParameter()},
          .generate = Interleaved,
          .generate_rank = ListOf};
}

}  // namespace penstock
