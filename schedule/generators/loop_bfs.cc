#include "schedule/generators/loop_bfs.h"

#include <vector>

#include "base/ids.h"
#include "schedule/generators/breadth_first.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/request.h"

namespace penstock {
namespace {

constexpr char kName[] = "loop_bfs";
constexpr ChunkRange kChunks{.min = 1, .max = 1024, .default_value = 2};

absl::StatusOr<Schedule> LoopBfs(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, BreadthFirstList);
}

}  // namespace

GeneratorInfo LoopBfsGenerator() {
  return {
      .name = kName,
      .source =
          "Lamy-Poirier, Breadth-First Pipeline Parallelism, 2023, "
          "section 4",
      .trade =
          "interleaved's bubble with each chunk's weights used in one "
          "stretch (they can be gathered and reduced while others run), for "
          "all m microbatches in flight",
      .update_policy = "flush",
      .chunks = kChunks,
      .parameters = {ChunksParameter(kChunks)},
      .generate = LoopBfs,
      .generate_rank = BreadthFirstList};
}

}  // namespace penstock
