#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EDGE_DIRECTION_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EDGE_DIRECTION_H_

#include "schedule/ir/action.h"

namespace penstock {

// Which of an edge's two tensors: the value, from its first stage to its
// second, or the gradient, the other way.
enum class Direction { kForward, kBackward };

// Requires: IsSend(op) or IsReceive(op).
inline Direction DirectionOf(Op op) {
  return op == Op::kSendForward || op == Op::kReceiveForward
             ? Direction::kForward
             : Direction::kBackward;
}

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_EDGE_DIRECTION_H_
