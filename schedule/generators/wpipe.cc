#include "schedule/generators/wpipe.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "schedule/generators/continuous.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/request.h"

namespace penstock {
namespace {

constexpr char kName[] = "wpipe";
constexpr ChunkRange kGroups{.min = 1, .max = 1024, .default_value = 2};

// Ranks p, groups v, microbatches m of a period.
struct Shape {
  int64_t p, v, m;
};

// L_c: updates by which the weights that group c reads are behind.
int Delay(const Shape& shape, int64_t group) {
  const auto& [p, v, m] = shape;
  const int64_t ahead = (v - 1 - 2 * group) * m + p - 1;
  return ahead <= 0 ? 0 : static_cast<int>((ahead + v * m - 1) / (v * m));
}

// The i-th forward of the rank, or the i-th backward, which visits the groups
// the other way round.
Action ActionAt(const Shape& shape, int rank, bool forward, int64_t i) {
  const auto& [p, v, m] = shape;
  const int64_t turn = i / m % v;
  const int64_t group = forward ? turn : v - 1 - turn;
  const StageId stage(static_cast<int>(group * p + rank));
  const MicrobatchId b(static_cast<int>(i / (v * m) * m + i % m));
  return forward ? Forward(stage, b) : Backward(stage, b);
}

RankLists Run(const Shape& shape, int periods) {
  const auto& [p, v, m] = shape;
  const int64_t all = v * m * periods;
  RankLists lists(p);
  for (int rank = 0; rank < p; ++rank) {
    std::vector<Action>& actions = lists[rank];
    actions.reserve(2 * all);
    const int64_t warmup = std::min((v - 1) * m + p - 1 - rank, all);
    int64_t forwards = 0;
    while (forwards < warmup) {
      actions.push_back(ActionAt(shape, rank, /*forward=*/true, forwards++));
    }
    for (int64_t i = 0; i < all; ++i) {
      if (forwards < all) {
        actions.push_back(ActionAt(shape, rank, /*forward=*/true, forwards++));
      }
      actions.push_back(ActionAt(shape, rank, /*forward=*/false, i));
    }
  }
  return lists;
}

absl::StatusOr<Schedule> GenerateWpipe(const GeneratorRequest& request) {
  const Shape shape{.p = request.num_ranks,
                    .v = request.num_stages / request.num_ranks,
                    .m = request.num_microbatches};
  const auto& [p, v, m] = shape;
  if (m < p - 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("schedule ", kName, " on ", p,
                     " ranks keeps two versions of its "
                     "weights, which takes at least ",
                     p - 1, " microbatches, got ", m, "; want ", p,
                     " or more, with which it does not stall"));
  }
  Schedule outline = LoopOutline(kName, request);
  outline.policy = WeightPolicy::kGrouped;
  for (int stage = 0; stage < request.num_stages; ++stage) {
    outline.versions.push_back(
        {.microbatches_per_update = request.num_microbatches,
         .delay = Delay(shape, stage / p)});
  }
  const int64_t warmup = (v - 1) * m + p - 1;
  return CutRun(std::move(outline),
                static_cast<int>((warmup + v * m - 1) / (v * m)),
                [&](int periods) { return Run(shape, periods); });
}

}  // namespace

GeneratorInfo WpipeGenerator() {
  return {.name = kName,
          .source =
              "Yang et al., Group-based Interleaved Pipeline Parallelism for "
              "Large-scale DNN Training (WPipe), 2022, section 3",
          .trade =
              "no bubble once filled; half the stages keep two weight "
              "versions and read weights one update old, the others "
              "neither; more communication and more in flight; m >= p-1",
          .update_policy = "grouped",
          .chunks = kGroups,
          .parameters = {ChunksParameter(kGroups)},
          .generate = GenerateWpipe};
}

}  // namespace penstock
