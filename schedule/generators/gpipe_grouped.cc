#include "schedule/generators/gpipe_grouped.h"

#include <vector>

#include "schedule/generators/breadth_first.h"
#include "schedule/generators/outline.h"

namespace penstock {
namespace {

constexpr char kName[] = "gpipe_grouped";

absl::StatusOr<Schedule> GpipeGrouped(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, BreadthFirstList);
}

}  // namespace

GeneratorInfo GpipeGroupedGenerator() {
  return {.name = kName,
          .source =
              "Yang et al., Group-based Interleaved Pipeline Parallelism for "
              "Large-scale DNN Training (WPipe), 2022, figure 15",
          .trade =
              "half of GPipe's bubble, (p-1)/(2m+p-1) for m >= p, for twice "
              "the messages; all m microbatches in flight",
          .update_policy = "flush",
          .chunks = ChunkRange{.min = 2, .max = 2, .default_value = 2},
          .generate = GpipeGrouped,
          .generate_rank = BreadthFirstList};
}

}  // namespace penstock
