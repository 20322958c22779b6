#include "schedule/generators/gpipe.h"

#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/generators/outline.h"

namespace penstock {
namespace {

constexpr char kName[] = "gpipe";

bool IsLifo(const GeneratorRequest& request) {
  return request.parameters.at("order") == "lifo";
}

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  const std::string& recompute = request.parameters.at("recompute");
  const int m = request.num_microbatches;
  const StageId stage(rank);
  std::vector<Action> list;
  list.reserve(3 * static_cast<size_t>(m));
  for (int b = 0; b < m; ++b) list.push_back(Forward(stage, MicrobatchId(b)));
  for (int i = 0; i < m; ++i) {
    const int b = IsLifo(request) ? m - 1 - i : i;
    if (recompute == "always" || (recompute == "except_last" && b < m - 1)) {
      list.push_back({.op = Op::kRecompute,
                      .stage = stage,
                      .microbatch = MicrobatchId(b)});
    }
    list.push_back(Backward(stage, MicrobatchId(b)));
  }
  return list;
}

absl::StatusOr<Schedule> Gpipe(const GeneratorRequest& request) {
  Schedule outline = LoopOutline(kName, request);
  if (IsLifo(request)) outline.accumulation = AccumulationOrder::kDescending;
  return FillLists(std::move(outline), request, ListOf);
}

}  // namespace

GeneratorInfo GpipeGenerator() {
  return {.name = kName,
          .source =
              "Huang et al., GPipe: Efficient Training of Giant Neural "
              "Networks using Pipeline Parallelism, 2019, section 2.3",
          .trade = "a bubble of (p-1)/(m+p-1) for all m microbatches in flight",
          .update_policy = "flush",
          .parameters = {{.name = "order",
                          .description = "backwards in the forwards' order "
                                         "(fifo) or its reverse (lifo)",
                          .values = {"fifo", "lifo"},
                          .default_value = "fifo"},
                         {.name = "recompute",
                          .description =
                              "microbatches whose forward is run again before "
                              "its backward: none, all but the last, or all",
                          .values = {"never", "except_last", "always"},
                          .default_value = "never"}},
          .generate = Gpipe,
          .generate_rank = ListOf};
}

}  // namespace penstock
