#include "schedule/generators/wpipe.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "schedule/generators/continuous.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/replicate.h"
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

// Of `width` pipelines side by side, each with the microbatches of `shape`.
absl::StatusOr<Schedule> Make(const GeneratorRequest& request,
                              const Shape& shape, int width) {
  const auto& [p, v, m] = shape;
  if (m < p - 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", kName, " on ", p,
        " ranks keeps two versions of its "
        "weights, which takes at least ",
        (p - 1) * width, " microbatches, got ", m * width, "; want ", p * width,
        " or more, with which it does not stall"));
  }
  Schedule outline = LoopOutline(kName, request);
  outline.policy = WeightPolicy::kGrouped;
  for (int stage = 0; stage < request.num_stages; ++stage) {
    outline.versions.push_back(
        {.microbatches_per_update = request.num_microbatches,
         .delay = Delay(shape, stage / p)});
    std::vector<RankId>& holders = outline.placement[stage];
    const int first = holders[0].value() * width;
    holders.clear();
    for (int k = 0; k < width; ++k) holders.push_back(RankId(first + k));
  }
  const int64_t warmup = (v - 1) * m + p - 1;
  return CutRun(
      std::move(outline), static_cast<int>((warmup + v * m - 1) / (v * m)),
      [&](int periods) { return ReplicateLists(Run(shape, periods), width); });
}

absl::StatusOr<Schedule> GenerateWpipe(const GeneratorRequest& request) {
  return Make(request,
              {.p = request.num_ranks,
               .v = request.num_stages / request.num_ranks,
               .m = request.num_microbatches},
              /*width=*/1);
}

absl::StatusOr<Schedule> GenerateReplicated(const GeneratorRequest& request) {
  const int width = request.replicas[0];
  const int m = request.num_microbatches;
  const std::string given = absl::StrJoin(request.replicas, ",");
  if (std::count(request.replicas.begin(), request.replicas.end(), width) !=
      static_cast<int64_t>(request.replicas.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("replicas ", given, ": schedule ", kName,
                     " takes whole pipelines only; want one number"));
  }
  if (m % width != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("schedule ", kName, " gives every one of ", width,
                     " pipelines as many microbatches: want a multiple of ",
                     width, ", got ", m, "; the nearest: ", m / width * width,
                     " and ", (m / width + 1) * width));
  }
  return Make(request,
              {.p = request.num_ranks,
               .v = request.num_stages / request.num_ranks,
               .m = m / width},
              width);
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
          .generate = GenerateWpipe,
          .generate_replicated = GenerateReplicated};
}

}  // namespace penstock
