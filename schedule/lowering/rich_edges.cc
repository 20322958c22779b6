#include "schedule/lowering/rich_edges.h"

#include "schedule/ir/chain.h"

namespace penstock {

std::vector<Edge> RichEdges(const Schedule& schedule) {
  const int last = schedule.num_stages() - 1;
  std::vector<Edge> edges = ChainEdges(schedule.num_stages());
  if (last > 1) {
    edges.push_back({EdgeKind::kActivation, "skip", StageId(0), StageId(last)});
  }
  if (last > 0 && !schedule.is_continuous()) {
    edges.push_back({EdgeKind::kTiedWeight, "wte", StageId(0), StageId(last)});
  }
  return edges;
}

}  // namespace penstock
