#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EDGE_COUNTERS_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EDGE_COUNTERS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "stage_server/engine/edge_direction.h"

namespace penstock {

// What one rank has sent over one edge in one direction.
struct EdgeTraffic {
  EdgeId edge;
  Direction direction = Direction::kForward;
  int64_t messages = 0;
  // As they were on the wire, and what they are in memory.
  int64_t wire_bytes = 0;
  int64_t tensor_bytes = 0;

  friend bool operator==(const EdgeTraffic&, const EdgeTraffic&) = default;
};

// Counts what a rank sends. An edge between two stages of the rank has no
// messages. Used by one thread.
class EdgeCounters {
 public:
  explicit EdgeCounters(int num_edges)
      : of_edge_(static_cast<size_t>(2 * num_edges)) {}

  // Requires: 0 <= edge < num_edges.
  void Add(EdgeId edge, Direction direction, int64_t wire_bytes,
           int64_t tensor_bytes);

  // Those with messages, by edge, forward first.
  std::vector<EdgeTraffic> Totals() const;

 private:
  // By edge and direction.
  std::vector<EdgeTraffic> of_edge_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_EDGE_COUNTERS_H_
