#include "stage_server/engine/edge_counters.h"

namespace penstock {

void EdgeCounters::Add(EdgeId edge, Direction direction, int64_t wire_bytes,
                       int64_t tensor_bytes) {
  const size_t side = direction == Direction::kForward ? 0 : 1;
  EdgeTraffic& traffic = of_edge_[2 * static_cast<size_t>(edge.value()) + side];
  traffic.edge = edge;
  traffic.direction = direction;
  ++traffic.messages;
  traffic.wire_bytes += wire_bytes;
  traffic.tensor_bytes += tensor_bytes;
}

std::vector<EdgeTraffic> EdgeCounters::Totals() const {
  std::vector<EdgeTraffic> totals;
  for (const EdgeTraffic& traffic : of_edge_) {
    if (traffic.messages > 0) totals.push_back(traffic);
  }
  return totals;
}

}  // namespace penstock
