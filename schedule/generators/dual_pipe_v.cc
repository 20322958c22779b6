#include "schedule/generators/dual_pipe_v.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/rank_list.h"

namespace penstock {
namespace {

constexpr char kName[] = "dual_pipe_v";

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  const int p = request.num_ranks;
  const int m = std::max(request.num_microbatches, 2 * p);
  const int after = p - 1 - rank;
  const int meet = rank + 1;
  RankList list({StageId(rank), StageId(2 * p - 1 - rank)},
                request.num_microbatches);
  for (int i = 0; i < 2 * after; ++i) list.Forward(0);
  for (int i = 0; i < meet; ++i) {
    list.Forward(0);
    list.Forward(1);
  }
  for (int i = 0; i < after; ++i) {
    list.Input(1);
    list.Weight(1);
    list.Forward(1);
  }
  for (int i = 0; i < m - 2 * p + meet; ++i) {
    list.ForwardWithBackward(0, 1);
    list.ForwardWithBackward(1, 0);
  }
  for (int i = 0; i < after; ++i) {
    list.Backward(1);
    list.ForwardWithBackward(1, 0);
  }
  for (int i = 0; i < 2 * meet; ++i) {
    const int chunk = i % 2 == 0 ? 1 : 0;
    if (i < meet) {
      list.Backward(chunk);
    } else {
      list.Input(chunk);
    }
  }
  for (int i = 0; i < after; ++i) {
    list.OldestWeight();
    list.Input(0);
  }
  list.AllWeights();
  return std::move(list).Take();
}

absl::StatusOr<Schedule> DualPipeV(const GeneratorRequest& request) {
  return FillLists(VOutline(kName, request), request, ListOf);
}

}  // namespace

GeneratorInfo DualPipeVGenerator() {
  return {
      .name = kName,
      .source =
          "DeepSeek-AI, DualPipe, 2025 (DeepSeek-V3 Technical Report, "
          "section 3.2.1); V-shaped half (DualPipeV), 2025",
      .trade =
          "hides communication behind the other half of a pair, for p + 1/2 "
          "microbatches in flight and twice the messages",
      .update_policy = "flush",
      .chunks = ChunkRange{.min = 2, .max = 2, .default_value = 2},
      .generate = DualPipeV,
      .generate_rank = ListOf};
}

}  // namespace penstock
